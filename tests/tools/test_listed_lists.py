"""A list of candidates that goes on or needs a decision is shown among the calls, with the calls that belong to it."""

import pytest
from mcp import MCPError
from mcp.types import INVALID_PARAMS, TextResourceContents

from tests.agent import Agent
from tests.sandbox.manual_clock import ManualClock
from tests.tools.test_around import BUSY, FREE, FULL, LAST, TABLE


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
    assert listed.text.splitlines()[5] == "2 calls, newest first. Times are yours."
    [found] = listed.data["lists"]
    assert (found["status"], found["tracking_id"]) == ("needs_decision", id_)
    assert [call["call_id"] for call in found["calls"]] == [busy["call_id"], full["call_id"]]
    assert resource == listed.text
    assert shown == decide.text
    assert none.value.error.code == INVALID_PARAMS
    assert booked.data["status"] == "booked"
    assert "lists" not in after.data
    assert "call_around" not in after.text


async def test_a_list_in_progress_is_shown_with_its_call_and_a_canceled_one_until_its_call_has_ended(
    agent: Agent, clock: ManualClock
) -> None:
    clock.hold()
    running = await agent.use("call_around", TABLE, candidates=[FREE, LAST], wait_seconds=0)
    id_ = running.data["tracking_id"]
    await clock.sleepers(1)
    during = await agent.use("list_calls")
    await agent.use("cancel_call", call_id=id_)
    canceled = await agent.use("list_calls")
    clock.advance(minutes=5)
    await agent.use("get_call", call_id=id_, wait_seconds=5)
    after = await agent.use("list_calls")

    first, row, rest, _, *others = during.text.splitlines()
    assert first == f"Jan 25 10:30 AM  call_around: in progress, 1 of 2  {id_}"
    assert row.startswith("  1. Third +12025550100  in progress  ")
    assert rest == "  Not called yet: Fourth +12025550119."
    assert not any("Third" in line for line in others)
    assert [call["status"] for call in during.data["calls"]] == ["in_progress"]
    assert canceled.text.splitlines()[0].endswith(f"call_around: canceled, its last call is in progress  {id_}")
    assert "lists" not in after.data
