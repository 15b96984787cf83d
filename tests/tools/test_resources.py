"""Calls as resources, in both protocol generations."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import MCPError
from mcp.server.apps import APP_MIME_TYPE
from mcp.types import ResourceLink, TextResourceContents

from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.appointment import Appointment, Calendar
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.resource_links import links
from tests.agent import BISTRO, Agent, open_agent, settings_in
from tests.fake_service import fake_service
from tests.sandbox.manual_clock import ManualClock
from tests.transports.http_server import CALL, CONNECTIONS, LIMIT, connected_agent, running_sandbox, running_server

NUMBERS = {entry.name: entry.number for entry in reversed(TEST_NUMBERS)}
CALLS = "kallyai://calls"


async def read(agent: Agent, uri: str) -> TextResourceContents:
    (contents,) = (await agent.client.read_resource(uri)).contents
    assert isinstance(contents, TextResourceContents)
    assert contents.uri == uri
    return contents


async def read_error(agent: Agent, uri: str) -> tuple[int, str]:
    """The code and the message of the error when `uri` is read."""
    with pytest.raises(MCPError) as refused:
        await agent.client.read_resource(uri)
    return refused.value.error.code, refused.value.error.message


async def test_no_updates_of_a_resource_are_promised(agent: Agent) -> None:
    declared = agent.client.server_capabilities

    assert declared is not None
    assert declared.resources is not None
    assert declared.resources.subscribe is False


async def test_the_newest_calls_are_listed_and_each_call_has_its_templates(agent: Agent) -> None:
    resources = (await agent.client.list_resources()).resources
    templates = (await agent.client.list_resource_templates()).resource_templates

    assert [(resource.uri, resource.name, resource.mime_type) for resource in resources] == [
        (CALLS, "calls", "text/plain"),
        ("ui://kallyai/call.html", "call_card", APP_MIME_TYPE),
        ("ui://kallyai/quota.html", "quota_card", APP_MIME_TYPE),
        ("skill://phone-call/SKILL.md", "phone-call", "text/markdown"),
    ]
    assert {template.uri_template: template.mime_type for template in templates} == {
        "kallyai://calls/{call_id}": "text/plain",
        "kallyai://calls/{call_id}/transcript": "text/plain",
        "kallyai://calls/{call_id}/calendar.ics": "text/calendar",
    }
    assert all(resource.title and resource.description for resource in resources)
    assert all(template.title and template.description for template in templates)


async def test_a_resource_reads_like_the_result_of_its_tool(agent: Agent) -> None:
    call_id = (await agent.use("make_call", BISTRO)).data["call_id"]

    results = {
        tool: await agent.use(tool, call_id=call_id) for tool in ("get_call", "get_transcript", "get_calendar_event")
    }
    listed = await agent.use("list_calls")

    assert (await read(agent, f"{CALLS}/{call_id}")).text == results["get_call"].text
    assert (await read(agent, CALLS)).text == listed.text
    calendar = await read(agent, results["get_calendar_event"].data["calendar_uri"])
    assert calendar.mime_type == "text/calendar"
    assert "SUMMARY:Table for 4" in calendar.text
    heading, opening, *spoken, closing = (await read(agent, f"{CALLS}/{call_id}/transcript")).text.splitlines()
    delimited = results["get_transcript"].text.splitlines()
    assert [heading, *spoken] == [delimited[0], *delimited[2:-1]]
    assert opening.removeprefix("<<<") == closing.removesuffix(">>>") != delimited[-1].removesuffix(">>>")


async def test_a_tracking_id_may_take_the_place_of_the_call_id(agent: Agent) -> None:
    made = (await agent.use("make_call", BISTRO)).data

    for rest in ("", "/transcript", "/calendar.ics"):
        by_call = (await read(agent, f"{CALLS}/{made['call_id']}{rest}")).text.splitlines()
        by_tracking = (await read(agent, f"{CALLS}/{made['tracking_id']}{rest}")).text.splitlines()
        assert by_tracking[:1] + by_tracking[2:-1] == by_call[:1] + by_call[2:-1]  # except for the delimiters
    for tool in ("get_transcript", "get_calendar_event"):
        assert (await agent.use(tool, call_id=made["tracking_id"])).data["call_id"] == made["call_id"]


async def test_a_call_in_progress_can_be_read_but_has_no_transcript_yet(agent: Agent, clock: ManualClock) -> None:
    clock.hold()
    tracking_id = (await agent.use("make_call", BISTRO, wait_seconds=0)).data["tracking_id"]
    with anyio.fail_after(LIMIT):
        await clock.sleepers(1)
    clock.advance(seconds=30)

    text = (await read(agent, f"{CALLS}/{tracking_id}")).text
    code, message = await read_error(agent, f"{CALLS}/{tracking_id}/transcript")

    assert text.startswith("In progress: the call to Italian Bistro (+1 415-555-1234) has lasted 30 s.")
    assert (await read(agent, CALLS)).text.startswith("Jan 25 10:30 AM  in progress  Italian Bistro")
    assert code == -32602
    assert message == "That call is still in progress. get_call follows it to its end."


async def test_a_call_that_was_refused_says_why(agent: Agent) -> None:
    tracking_id = (
        await agent.use("make_call", BISTRO, respondent_phone=NUMBERS["suppression_violation"], wait_seconds=0)
    ).data["tracking_id"]
    with anyio.fail_after(LIMIT):
        while "In progress" in (text := (await read(agent, f"{CALLS}/{tracking_id}")).text):
            await anyio.lowlevel.checkpoint()

    assert text.startswith("Not called: this number is on the do-not-call list (suppression_violation).")
    assert (await read_error(agent, f"{CALLS}/{tracking_id}/transcript"))[1].startswith(
        "This number is on the do-not-call"
    )


async def test_reading_an_outcome_as_a_resource_does_not_deliver_it(agent: Agent, clock: ManualClock) -> None:
    clock.hold()
    busy = BISTRO | {"respondent_phone": NUMBERS["busy"]}
    tracking_id = (await agent.use("make_call", busy, wait_seconds=0)).data["tracking_id"]
    with anyio.fail_after(LIMIT):
        await clock.sleepers(1)
        clock.advance(minutes=10)
        while "in progress" in (await read(agent, f"{CALLS}/{tracking_id}")).text:
            await anyio.lowlevel.checkpoint()

    again = await agent.use("make_call", busy)

    assert again.data["placed_now"] is False  # the outcome is not delivered yet
    assert again.data["tracking_id"] == tracking_id


@pytest.mark.parametrize(
    "uri",
    [
        f"{CALLS}/nothing",
        f"{CALLS}/t-nothing",
        f"{CALLS}/nothing/transcript",
        f"{CALLS}/nothing/calendar.ics",
        f"{CALLS}/nothing/recording",
        f"{CALLS}/..%2F..%2Fv1%2Fusers%2Fme%2Fstatistics",
        f"{CALLS}/a%0Ab",
        f"{CALLS}/",
        "kallyai://quota",
        "file:///etc/passwd",
    ],
)
async def test_an_unknown_resource_is_not_found(agent: Agent, uri: str) -> None:
    code, message = await read_error(agent, uri)

    assert code == -32602
    assert "Traceback" not in message


async def test_without_a_sign_in_a_read_fails_with_the_link(settings: Settings, mode: str, clock: ManualClock) -> None:
    async with open_agent(settings, mode=mode, clock=clock) as agent:
        with anyio.fail_after(LIMIT):
            code, message = await read_error(agent, CALLS)

    assert code == -32603
    assert message.startswith("Not signed in to KallyAI. Give the user this link (valid for 5 minutes): https://")
    assert message.endswith("When they have signed in, read the resource again.")


async def test_an_error_of_kallyai_is_in_the_words_of_the_tools(tmp_path: Path, mode: str, clock: ManualClock) -> None:
    trouble: dict[str, Any] = {"error": {"code": "forbidden", "message": "Not that"}, "correlation_id": "c-17"}
    async with fake_service(lambda _: (403, trouble)) as url:
        settings = settings_in(tmp_path, API_URL=url, ACCESS_TOKEN="a-token-of-the-tests")
        async with open_agent(settings, mode=mode, clock=clock) as agent:
            code, message = await read_error(agent, f"{CALLS}/c-1/transcript")

    assert code == -32603
    assert message.startswith("The sign-in lacks the permission for this (forbidden).")
    assert 'KallyAI: "Not that". correlation_id c-17' in message
    assert "a-token" not in message


@pytest.mark.parametrize("connection", CONNECTIONS)
async def test_callers_never_read_each_others_calls(tmp_path: Path, connection: str) -> None:
    async with (
        running_sandbox(tmp_path) as sandbox,
        running_server(sandbox.settings(), auth="caller") as url,
        connected_agent(url, connection, token=sandbox.token("acct-personal")) as one,
        connected_agent(url, connection, token=sandbox.token("acct-business")) as other,
    ):
        tracking_id = (await one.use("make_call", CALL, wait_seconds=0)).data["tracking_id"]
        await sandbox.wait_for_calls()
        sandbox.end_calls()
        made = (await one.use("get_call", call_id=tracking_id, wait_seconds=LIMIT)).data
        uris = [f"{CALLS}/{made[id_]}{rest}" for id_ in ("call_id", "tracking_id") for rest in ("", "/transcript")]
        mine = [(await read(one, uri)).text for uri in uris]
        theirs = [await read_error(other, uri) for uri in uris]
        lists = [(await read(agent, CALLS)).text for agent in (one, other)]

    assert all(mine)
    assert {code for code, _ in theirs} == {-32602}
    assert made["call_id"] in lists[0]
    assert lists[1] == "No calls yet. make_call places one."


def record(state: CallState, call: Call | None = None, calendar: Calendar | None = None) -> CallView:
    made = CallRecord(
        tracking_id="t-1",
        account=AccountKey("https://api.example.com", "a"),
        fingerprint="f",
        submission=Submission.model_validate({key: value for key, value in BISTRO.items() if key != "timezone"}),
        timezone="UTC",
        worker="0000beef",
        state=state,
        placed_at=datetime(2026, 1, 25, tzinfo=UTC),
        call=call,
        calendar=calendar,
    )
    return CallView.of_record(made)


def ended(status: str, call_id: str = "c/1") -> Call:
    return Call.model_validate({"call_id": call_id, "status": status})


def theirs(status: str, calendar: Calendar | None = None) -> CallView:
    return CallView.of_call(ended(status), calendar, timezone="UTC")


BOOKED = Calendar(Appointment(start=date(2026, 1, 28)))


@pytest.mark.parametrize(
    ("view", "uri"),
    [
        (record(CallState.SENT), "kallyai://calls/t-1"),
        (theirs("in_progress"), "kallyai://calls/c%2F1"),
        (theirs("success", BOOKED), "kallyai://calls/c%2F1/calendar.ics"),
        (record(CallState.ENDED, ended("success"), BOOKED), "kallyai://calls/c%2F1/calendar.ics"),
    ],
)
def test_a_result_links_to_what_its_text_can_not_hold(view: CallView, uri: str) -> None:
    (link,) = links(view)

    assert isinstance(link, ResourceLink)
    assert link.uri == uri
    assert link.annotations is not None
    assert link.annotations.audience == ["user"]


@pytest.mark.parametrize(
    "view",
    [
        theirs("success", Calendar()),
        theirs("success", Calendar(is_known=False)),
        theirs("busy"),
        record(CallState.ENDED, ended("success"), Calendar()),
        record(CallState.UNKNOWN),
        record(CallState.REFUSED),
    ],
)
def test_a_result_whose_text_is_complete_has_no_link(view: CallView) -> None:
    assert links(view) == []


def test_a_link_is_as_short_as_possible() -> None:
    (link,) = links(record(CallState.ENDED, ended("success", "0" * 36), BOOKED))

    assert len(link.model_dump_json(by_alias=True, exclude_none=True)) < 190
