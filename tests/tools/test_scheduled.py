"""Calls for later and calls that are placed again, as an agent and its user see them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mcp import Client

from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.server.build import build_server
from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, Agent, Answer, WallClock, connection_to
from tests.conftest import one_generation
from tests.sandbox.manual_clock import ManualClock
from tests.tools.answering import asking
from tests.tools.task_client import NUMBERS

mode = pytest.fixture(one_generation)

CLINIC = {
    "task_category": "clinic",
    "task_description": "Ask whether they take new patients",
    "respondent_phone": "+14155551234",
    "business_name": "Dr. Ruiz",
}
IN_THE_MORNING = "2026-01-26T09:00"
"""9:00 in San Francisco, 12:00 for the user in New York."""


async def test_a_call_for_later_says_when(agent: Agent) -> None:
    answer = await agent.use("make_call", CLINIC, not_before=IN_THE_MORNING, retries=2)
    before = await agent.use("get_transcript", call_id=answer.data["tracking_id"])

    assert answer.data["status"] == "scheduled"
    assert answer.data["scheduled_for"] == "2026-01-26T09:00:00-08:00"
    assert "Up to 3 attempts." in answer.text
    assert not {"outcome", "placed_now", "elapsed_seconds"} & answer.data.keys()
    assert before.text.startswith("The call has not been placed yet")


async def test_a_call_for_later_is_canceled_for_good(agent: Agent) -> None:
    answer = await agent.use("make_call", CLINIC, not_before=IN_THE_MORNING)
    id_ = answer.data["tracking_id"]
    canceled = await agent.use("cancel_call", call_id=id_)
    again = await agent.use("cancel_call", call_id=id_)
    shown = await agent.use("get_call", call_id=id_)

    assert canceled.data["status"] == "canceled"
    assert again.text == canceled.text
    assert shown.text.startswith("Not called: ")


async def test_canceling_an_ended_call_tells_how_it_ended(agent: Agent) -> None:
    ended = await agent.use("make_call", BISTRO)
    over = await agent.use("cancel_call", call_id=ended.data["call_id"])

    assert over.text.startswith("Not canceled: it is over.")
    assert "They said (" in over.text
    assert "transcript can be read" not in over.text


async def test_the_users_zone_is_not_the_callees(agent: Agent) -> None:
    elsewhere = await agent.use(
        "make_call", CLINIC, timezone="America/New_York", not_before=IN_THE_MORNING
    )

    assert "Mon Jan 26, 6:00 AM Los Angeles time (9:00 AM your time)." in elsewhere.text
    assert elsewhere.data["scheduled_for"] == "2026-01-26T06:00:00-08:00"
    assert elsewhere.data["timezone"] == "America/Los_Angeles"


@pytest.mark.parametrize(
    ("not_before", "hours_later", "now"),
    [("07:20", 0, "07:30"), ("20:55", 13.75, "21:15")],
    ids=["the appointment is past", "the night has begun"],
)
async def test_a_time_past_its_window_is_refused(
    agent: Agent, clock: ManualClock, not_before: str, hours_later: float, now: str
) -> None:
    appointment = {"appointment_date": "2026-01-25", "appointment_time": "07:25"}
    clock.advance(hours=hours_later)
    asked = CLINIC | (appointment if not hours_later else {})
    answer = await agent.use("make_call", asked, not_before=f"2026-01-25T{not_before}")

    assert answer.is_error
    assert f'"2026-01-25 {not_before}" is past; it is 2026-01-25 {now}' in answer.text


async def test_the_users_zone_is_the_machines(
    settings: Settings, app: SandboxApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, zone in (
        (":Asia/Tokyo", "Asia/Tokyo"),
        ("/usr/share/zoneinfo/America/Chicago", "America/Chicago"),
        ("CET-1CEST", "UTC"),
        ("/etc/passwd", "UTC"),
    ):
        monkeypatch.setenv("TZ", variable)
        async with open_app_context(connection_to(app, settings)) as opened:
            assert (opened.timezone, opened.zone_is_known) == (zone, zone != "UTC")


@pytest.fixture
async def abroad(
    settings: Settings, clock: ManualClock, app: SandboxApp, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Agent]:
    """An agent whose server does not know the zone of its user."""
    monkeypatch.setenv("TZ", "UTC")  # as in a container
    connection = connection_to(app, settings)
    connection.clock = WallClock(clock)
    async with Client(build_server(lambda: open_app_context(connection))) as client:
        yield Agent(client)


IN_CHICAGO = {"timezone": "America/Chicago"}


async def booked_abroad(agent: Agent) -> Answer:
    table = {name: value for name, value in BISTRO.items() if name != "timezone"}
    return await agent.use("make_call", table | {"respondent_phone": NUMBERS["success"]})


async def test_without_a_zone_times_have_a_place(abroad: Agent) -> None:
    booked = await booked_abroad(abroad)
    id_ = booked.data["call_id"]
    transcript = await abroad.use("get_transcript", call_id=id_)
    event = await abroad.use("get_calendar_event", call_id=id_)

    assert "Wed Jan 28, 7:00 PM there." in booked.text
    assert "Jan 25, 10:30 AM in New York" in transcript.text
    assert "7:00 PM there, until 9:00 PM" in event.text
    assert "Times in UTC." in (await abroad.use("list_calls")).text


async def test_a_plan_without_a_zone_has_a_place(abroad: Agent) -> None:
    later = await abroad.use("make_call", CLINIC, not_before=IN_THE_MORNING)
    seen = await abroad.use("get_call", IN_CHICAGO, call_id=later.data["tracking_id"])

    assert "Mon Jan 26, 9:00 AM Los Angeles time. " in later.text
    assert "9:00 AM Los Angeles time (11:00 AM your time)" in seen.text


async def test_a_given_zone_is_that_of_times(abroad: Agent) -> None:
    id_ = (await booked_abroad(abroad)).data["call_id"]
    event = await abroad.use("get_calendar_event", IN_CHICAGO, call_id=id_)
    listed = await abroad.use("list_calls", IN_CHICAGO)
    again = await abroad.use("get_call", IN_CHICAGO, call_id=id_)

    assert "(6:00 PM in Chicago)" in event.text
    assert "Times in Chicago." in listed.text
    assert ", Jan 28 7:00 PM there (6:00 PM in Chicago)  " in listed.text
    assert "Wed Jan 28, 7:00 PM there (6:00 PM in Chicago)" in again.text


@pytest.fixture
async def refused_retry(tmp_path: Path, clock: ManualClock) -> AsyncIterator[tuple[Agent, Answer]]:
    """A call whose second attempt was refused, because the quota was used up by then."""
    busy = {"+": {"status": "busy", "call_id": "c-1"}}
    price = {"plan_type": "trial", "upgrade_url": "https://kallyai.com/pricing"}
    async with asking(tmp_path, clock, busy) as (kallyai, agent):
        first = await agent.use(
            "make_call", CLINIC | {"respondent_phone": NUMBERS["busy"]}, retries=1
        )
        kallyai.calls = {"+": {"error": (402, price)}}
        kallyai.statistics = {
            "calls_allocated": 35,
            "calls_remaining": 0,
            "period_end": "2026-02-01T00:00:00Z",
        }
        clock.advance(minutes=16)
        id_ = first.data["tracking_id"]
        yield agent, await agent.use("get_call", call_id=id_, wait_seconds=20)


async def test_a_refused_attempt_says_why(refused_retry: tuple[Agent, Answer]) -> None:
    _, refused = refused_retry
    first, *_, last = refused.text.splitlines()

    assert refused.is_error
    assert first == (
        "Not called again: the quota is used up (quota_exceeded). 0 of 35 calls left. They all "
        "come back Feb 1. Calls "
        "are refused until then. To get more now: https://kallyai.com/pricing."
    )
    assert last.startswith("Attempt 2 of 2. Before: busy ")


async def test_a_refused_attempt_has_its_code(refused_retry: tuple[Agent, Answer]) -> None:
    _, refused = refused_retry

    assert refused.data["status"] == "refused"
    assert refused.data["code"] == "quota_exceeded"
    assert refused.data["placed"] == "no"
    assert refused.data["retryable"] is False
    assert refused.data["used_up"]["renews"] == "2026-02-01T00:00:00Z"


async def test_a_refused_attempt_is_listed(refused_retry: tuple[Agent, Answer]) -> None:
    agent, _ = refused_retry
    listed = await agent.use("list_calls")

    assert (
        "  not called again  Dr. Ruiz +1 202-555-0103  Ask whether they take new patients  "
        "the quota is used up (quota_exceeded); was due " in listed.text
    )
    assert listed.data["calls"][0]["code"] == "quota_exceeded"


async def test_an_earlier_attempts_id_cancels_later_ones(agent: Agent, clock: ManualClock) -> None:
    first = await agent.use("make_call", CLINIC | {"respondent_phone": NUMBERS["busy"]}, retries=2)
    listed = await agent.use("list_calls")
    [call_id] = [one["call_id"] for one in listed.data["calls"] if one.get("call_id")]
    attempt = await agent.use("get_call", call_id=call_id)

    canceled = await agent.use("cancel_call", call_id=call_id)
    clock.advance(minutes=16)
    shown = await agent.use("get_call", call_id=first.data["tracking_id"], wait_seconds=20)

    assert (
        "Scheduled: Dr. Ruiz (+1 202-555-0103), Sun Jan 25, 10:45 AM New York time. Attempt 2 of 3."
        in attempt.text
    )
    assert "To try again" not in attempt.text
    assert canceled.data["status"] == "canceled"
    assert shown.text.startswith("Not called again: ")
    assert await agent.calls_made() == 1


async def missed(agent: Agent, clock: ManualClock) -> str:
    """The id of a call that was due half a day ago, when no program ran."""
    placed = await agent.use("make_call", CLINIC, not_before=IN_THE_MORNING)
    clock.advance(hours=30)
    id_: str = placed.data["tracking_id"]
    return id_


async def test_a_missed_call_says_so(agent: Agent, clock: ManualClock) -> None:
    shown = await agent.use("get_call", call_id=await missed(agent, clock))

    assert shown.is_error
    assert shown.data["placed"] == "no"
    assert shown.text.startswith(
        "Not called: no program placed the call while it was due: for example, none ran, "
    )
    assert shown.text.endswith(". Ask the user whether to call now or at another time.")


async def test_a_missed_call_is_listed_for_a_day(agent: Agent, clock: ManualClock) -> None:
    id_ = await missed(agent, clock)
    listed = await agent.use("list_calls")
    await agent.use("get_call", call_id=id_)
    told = await agent.use("list_calls")
    clock.advance(hours=24)

    assert "  expired  Dr. Ruiz" in listed.text
    assert listed.data["calls"][0]["status"] == "expired"
    assert "  expired  Dr. Ruiz" in told.text
    assert (await agent.use("list_calls")).data["calls"] == []
