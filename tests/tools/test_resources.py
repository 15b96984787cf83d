"""Calls as resources."""

from pathlib import Path

import anyio
import pytest
from mcp import MCPError
from mcp.types import EmbeddedResource

from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, Agent, open_agent
from tests.conftest import one_generation
from tests.sandbox.manual_clock import ManualClock
from tests.tools.task_client import NUMBERS
from tests.transports.http_server import (
    CALL,
    LIMIT,
    connected_agent,
    running_sandbox,
    running_server,
)

mode = pytest.fixture(one_generation)
CALLS = "kallyai://calls"


async def read_error(agent: Agent, uri: str) -> tuple[int, str]:
    """The code and the message of the error when `uri` is read."""
    with pytest.raises(MCPError) as refused:
        await agent.client.read_resource(uri)
    return refused.value.error.code, refused.value.error.message


async def test_a_resource_reads_like_its_tools_result(agent: Agent) -> None:
    call_id = (await agent.use("make_call", BISTRO)).data["call_id"]

    results = {
        tool: await agent.use(tool, call_id=call_id)
        for tool in ("get_call", "get_transcript", "get_calendar_event")
    }

    assert (await agent.read(f"{CALLS}/{call_id}")).text == results["get_call"].text
    calendar = await agent.read(results["get_calendar_event"].data["calendar_uri"])
    assert calendar.mime_type == "text/calendar"
    assert "SUMMARY:Table for 4" in calendar.text
    heading, opening, *spoken, closing = (
        await agent.read(f"{CALLS}/{call_id}/transcript")
    ).text.splitlines()
    delimited = results["get_transcript"].text.splitlines()
    assert [heading, *spoken] == [delimited[0], *delimited[2:-1]]
    assert (
        opening.removeprefix("<<<")
        == closing.removesuffix(">>>")
        != delimited[-1].removesuffix(">>>")
    )


async def test_reading_a_resource_delivers_no_outcome(agent: Agent, clock: ManualClock) -> None:
    clock.hold()
    busy = BISTRO | {"respondent_phone": NUMBERS["busy"]}
    tracking_id = (await agent.use("make_call", busy, wait_seconds=0)).data["tracking_id"]
    with anyio.fail_after(LIMIT):
        await clock.sleepers(1)
        clock.advance(seconds=2)
        text = (await agent.read(f"{CALLS}/{tracking_id}")).text
        error = await read_error(agent, f"{CALLS}/{tracking_id}/transcript")
        clock.advance(minutes=10)
        while "in progress" in (await agent.read(f"{CALLS}/{tracking_id}")).text:
            await anyio.lowlevel.checkpoint()

    again = await agent.use("make_call", busy)

    assert text.startswith(
        "In progress: the call to Italian Bistro (+1 202-555-0103) has lasted 2 s."
    )
    assert error == (-32602, "That call is still in progress. get_call follows it to its end.")
    assert again.data["placed_now"] is False  # the outcome is not delivered yet


async def test_without_sign_in_a_read_names_the_link(
    settings: Settings, mode: str, clock: ManualClock
) -> None:
    async with open_agent(settings, mode=mode, clock=clock) as agent:
        with anyio.fail_after(LIMIT):
            code, message = await read_error(agent, f"{CALLS}/c-1")

    assert code == -32603
    assert message.startswith(
        "Not signed in to KallyAI. Give the user this link (valid for 5 minutes): https://"
    )
    assert message.endswith("When they have signed in, read the resource again.")


async def test_callers_never_read_each_others_calls(tmp_path: Path) -> None:
    async with (
        running_sandbox(tmp_path) as sandbox,
        running_server(sandbox.settings(), auth="caller") as url,
        connected_agent(url, "auto", token=sandbox.token("acct-personal")) as one,
        connected_agent(url, "auto", token=sandbox.token("acct-business")) as other,
    ):
        tracking_id = (await one.use("make_call", CALL, wait_seconds=0)).data["tracking_id"]
        await sandbox.wait_for_calls()
        sandbox.end_calls()
        made = (await one.use("get_call", call_id=tracking_id, wait_seconds=LIMIT)).data
        uris = [
            f"{CALLS}/{id_}{rest}"
            for id_ in (made["call_id"], tracking_id)
            for rest in ("", "/transcript")
        ]
        mine = [(await one.read(uri)).text for uri in uris]
        theirs = [await read_error(other, uri) for uri in uris]

    assert all(mine)
    assert {code for code, _ in theirs} == {-32602}


async def test_a_calendar_file_is_text_on_request(agent: Agent) -> None:
    call_id = (await agent.use("make_call", BISTRO)).data["call_id"]
    event = await agent.use("get_calendar_event", call_id=call_id)
    as_file = await agent.use("get_calendar_event", call_id=call_id, as_file=True)

    assert event.data["calendar_uri"] == f"kallyai://calls/{call_id}/calendar.ics"
    assert event.text.endswith(f"\nThe .ics file: {event.data['calendar_uri']}")
    assert as_file.data["file"].startswith("BEGIN:VCALENDAR\n")
    (embedded,) = as_file.result.content[1:]
    assert isinstance(embedded, EmbeddedResource)
    assert embedded.resource.mime_type == "text/calendar"
