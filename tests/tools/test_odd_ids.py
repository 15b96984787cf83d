"""Ids that are no UUIDs: they work wherever a call is named, or one line says that they can't."""

from pathlib import Path

import pytest
from mcp import MCPError
from mcp.types import TextResourceContents

from tests.agent import BISTRO, open_agent
from tests.sandbox.manual_clock import ManualClock
from tests.tools.answering import answering, asking, calendar_file

EVENT = calendar_file(["SUMMARY:Table for 4", "DTSTART:20260129T000000Z"])


@pytest.mark.parametrize("id_", ["call:2026-01", "a+b@c,d=", "x" * 300], ids=["colon", "signs", "long"])
async def test_a_call_with_such_an_id_can_be_followed_everywhere(tmp_path: Path, clock: ManualClock, id_: str) -> None:
    calls = {"+": {"status": "success", "highlights": "Reserved.", "call_id": id_}}
    async with answering(tmp_path, calls, {"+": EVENT}) as (kallyai, settings):
        kallyai.transcript = {"entries": [{"speaker": "AI", "content": "Hello", "timestamp": "00:00:01"}]}
        async with open_agent(settings, mode="auto", clock=clock) as agent:
            made = await agent.use("make_call", BISTRO)
            listed = await agent.use("list_calls")
            named = made.text.rpartition("call_id ")[2].partition(";")[0]
            answers = [
                await agent.use(tool, call_id=named) for tool in ("get_call", "get_transcript", "get_calendar_event")
            ]
            file = (await agent.client.read_resource(answers[2].data["calendar_uri"])).contents[0]
            uri = answers[2].data["calendar_uri"].removesuffix("/calendar.ics")
            shown = (await agent.client.read_resource(uri)).contents[0]

    assert made.data["outcome"] == "booked"
    assert named == id_
    assert listed.text.splitlines()[2].endswith(f"  {id_}")
    assert not any(answer.is_error for answer in answers)
    assert isinstance(file, TextResourceContents)
    assert "Table for 4" in file.text
    assert isinstance(shown, TextResourceContents)
    assert shown.text.startswith("Booked: ")


async def test_an_id_that_can_not_be_sent_is_told_as_that(tmp_path: Path, clock: ManualClock) -> None:
    id_ = "calls/7"
    calls = {"+": {"status": "success", "highlights": "Reserved.", "call_id": id_}}
    async with asking(tmp_path, clock, calls, {"+": EVENT}) as (_, agent):
        made = await agent.use("make_call", BISTRO)
        refused = await agent.use("get_transcript", call_id=id_)
        await agent.client.read_resource("kallyai://calls/calls%2F7")  # the ledger has it
        with pytest.raises(MCPError) as unread:
            await agent.client.read_resource("kallyai://calls/calls%2F8")

    assert (made.data["outcome"], made.data["calendar_checked"]) == ("answered", False)
    assert "Whether an appointment was made is not known." in made.text.splitlines()
    assert made.text.endswith(
        f'call_id "{id_}"; this id can\'t be sent to KallyAI, so nothing more can be read with it.'
    )
    assert refused.data["code"] == "call_id_not_usable"
    assert refused.text.startswith("That id can't be sent to KallyAI")
    assert "KallyAI: " not in refused.text  # it said nothing
    assert unread.value.code == -32602
    assert unread.value.message.startswith("That id can't be sent to KallyAI")
