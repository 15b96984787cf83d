"""call.needs_decision: a client hears that call_around has stopped, and after which call."""

from typing import Any

from mcp import types
from pydantic import Field, RootModel

from tests.agent import Agent
from tests.tools.test_around import BUSY, FREE, FULL, TABLE

Json = dict[str, Any]


class PollParams(types.RequestParams):
    name: str
    cursor: str | None = None
    arguments: Json = Field(default_factory=dict)


async def poll(agent: Agent, name: str, cursor: str | None = None, **arguments: str) -> Json:
    params = PollParams(name=name, cursor=cursor, arguments=arguments)
    request: types.Request[Any, Any] = types.Request(method="events/poll", params=params)
    return (await agent.client.session.send_request(request, RootModel[Json])).root


async def test_a_list_that_stops_for_a_decision_is_an_event_after_those_of_its_calls(agent: Agent) -> None:
    start = (await poll(agent, "call.needs_decision"))["cursor"]

    decide = await agent.use("call_around", TABLE, candidates=[BUSY, FULL, FREE])
    busy, full = decide.data["calls"]
    list_id = decide.data["tracking_id"]
    (event,) = (await poll(agent, "call.needs_decision", start))["events"]
    of_the_list = await poll(agent, "call.needs_decision", start, call_id=list_id)
    ended = (await poll(agent, "call.ended", start))["events"]
    await agent.use("call_around", TABLE, candidates=[BUSY, FULL, FREE], continue_after=full["call_id"])
    after = await poll(agent, "call.needs_decision", start)

    assert event["data"] == {
        "list_id": list_id,
        "tracking_id": ended[1]["data"]["tracking_id"],
        "call_id": full["call_id"],
        "status": "success",
        "outcome": "answered",
        "code": None,
        "callee": {"business_name": "Second", "respondent_phone": FULL["respondent_phone"]},
    }
    assert of_the_list["events"] == [event]
    assert [each["data"]["call_id"] for each in ended] == [busy["call_id"], full["call_id"]]
    assert after["events"] == [event]  # the third one booked
