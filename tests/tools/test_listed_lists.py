"""A list of candidates that goes on or needs a decision is shown among the calls, with the calls that belong to it."""

import pytest
from mcp import MCPError
from mcp.types import INVALID_PARAMS, TextResourceContents

from tests.agent import Agent
from tests.tools.test_around import BUSY, FREE, FULL, TABLE


async def read(agent: Agent, uri: str) -> str:
    (contents,) = (await agent.client.read_resource(uri)).contents
    assert isinstance(contents, TextResourceContents)
    return contents.text


async def test_a_list_that_needs_a_decision_is_above_the_calls_until_it_goes_on(agent: Agent) -> None:
    decide = await agent.use("call_around", TABLE, candidates=[BUSY, FULL, FREE])
    id_, (busy, full) = decide.data["tracking_id"], decide.data["calls"]
    listed = await agent.use("list_calls")
    resource = await read(agent, "kallyai://calls")
    shown = await read(agent, f"kallyai://calls/{id_}")
    with pytest.raises(MCPError) as none:
        await read(agent, f"kallyai://calls/{id_}/transcript")
    booked = await agent.use("call_around", TABLE, candidates=[BUSY, FULL, FREE], continue_after=full["call_id"])
    after = await agent.use("list_calls")

    assert listed.text.splitlines()[:5] == [
        f"Jan 25 10:30 AM  call_around: needs a decision  {id_}",
        f"  1. First +12025550103  not reached  {busy['call_id']}",
        f"  2. Second +12025550102  answered  {full['call_id']}",
        "  Not called: Third +12025550100.",
        "get_call with the id of a list says what to do next; do not call its candidates yourself.",
    ]
    assert listed.text.splitlines()[5] == "2 calls, newest first. Times in New York."
    [found] = listed.data["lists"]
    assert (found["status"], found["tracking_id"]) == ("needs_decision", id_)
    assert [call["call_id"] for call in found["calls"]] == [busy["call_id"], full["call_id"]]
    assert resource == listed.text
    assert shown == decide.text
    assert none.value.error.code == INVALID_PARAMS
    assert booked.data["status"] == "booked"
    assert "lists" not in after.data
    assert "call_around" not in after.text
