"""The day and time of an appointment are the callee's; `timezone` says where the user is."""

from pathlib import Path

import pytest

from kallyai_mcp.sandbox.app import SandboxApp
from tests.agent import BISTRO, Agent, settings_in
from tests.conftest import one_generation
from tests.sandbox.manual_clock import ManualClock
from tests.tools.answering import asking, calendar_file
from tests.tools.user import User, open_agent_for

mode = pytest.fixture(one_generation)

FROM_NEW_YORK = BISTRO | {"timezone": "America/New_York"}
AT_SEVEN = calendar_file(
    ["SUMMARY:Table for 4", "DTSTART:20260129T030000Z", "DTEND:20260129T050000Z"]
)
"""7 PM in San Francisco."""

AT_FOUR = calendar_file(["SUMMARY:Table for 4", "DTSTART:20260129T000000Z"])
_CALLEE = ("respondent_phone", "business_name")
SEVEN = {"status": "success", "highlights": "Reserved a table for 4 on Wednesday at 7:00 PM."}


async def test_a_table_is_told_in_restaurant_time(agent: Agent) -> None:
    booked = await agent.use("make_call", FROM_NEW_YORK)
    listed = await agent.use("list_calls", timezone="America/New_York")
    event = await agent.use("get_calendar_event", call_id=booked.data["call_id"], as_file=True)

    assert booked.text.startswith(
        "Booked: table for 4 at Italian Bistro (+1 415-555-1234), Wed Jan 28, 7:00 PM there (10:00 "
        "PM in New York)."
    )
    start, zone = booked.data["appointment"]["start"], booked.data["timezone"]
    assert (start, zone) == ("2026-01-28T19:00:00-08:00", "America/Los_Angeles")
    assert listed.data["calls"][0]["appointment"] == "2026-01-28T19:00"
    assert "DTSTART:20260129T030000Z" in event.data["file"]


async def test_a_limit_is_told_in_users_time(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    settings = settings_in(tmp_path, CALLS_PER_DAY="1")
    async with open_agent_for(settings, "auto", clock, app, None) as agent:
        await agent.use("make_call", BISTRO)
        refused = await agent.use("make_call", BISTRO, party_size=5, timezone="Asia/Tokyo")

    assert refused.text.endswith("It may be tried again on Tue Jan 27, 12:30 AM.")


@pytest.mark.parametrize(
    ("number", "timezone", "sent"),
    [
        ("+14155551234", "America/New_York", "America/Los_Angeles"),
        ("+14155551234", None, "America/Los_Angeles"),
        ("+18005551234", "Europe/Madrid", "Europe/Madrid"),  # has no clock of its own
        ("+34612345678", "Atlantic/Canary", "Atlantic/Canary"),  # may be there
    ],
)
async def test_kallyai_gets_the_zone_of_the_callee(
    tmp_path: Path, clock: ManualClock, number: str, timezone: str | None, sent: str
) -> None:
    async with asking(tmp_path, clock, {"+": SEVEN}) as (kallyai, agent):
        await agent.use("make_call", BISTRO | {"respondent_phone": number, "timezone": timezone})

    assert [body["timezone"] for body in kallyai.bodies] == [sent]


@pytest.mark.parametrize(
    ("file", "report", "outcome", "words"),
    [
        (
            AT_SEVEN,
            SEVEN["highlights"],
            "booked",
            "Booked: table for 4 at Italian Bistro (+1 415-555-1234), Wed",
        ),
        (
            AT_FOUR,
            SEVEN["highlights"],
            "booked_other_time",
            "KallyAI reports 7:00 PM; the calendar says Wed Jan 28, 4:00 PM there (7:00 PM in New "
            "York). Check it.",
        ),
        (
            AT_SEVEN,
            "Reserved a table at 7:30 PM.",
            "booked_other_time",
            "KallyAI reports 7:30 PM; the calendar says Wed Jan 28, 7:00 PM there (10:00 PM in New "
            "York). Check it.",
        ),
        (
            AT_FOUR,
            "Reserved a table.",
            "booked_other_time",
            (
                "Booked for another time: Wed Jan 28, 4:00 PM there (7:00 PM in New York); "
                "you asked for 7:00 PM."
            ),
        ),
    ],
)
async def test_differing_request_report_and_event_book_nothing(
    tmp_path: Path, clock: ManualClock, file: str, report: str, outcome: str, words: str
) -> None:
    call = {"status": "success", "highlights": report}
    async with asking(tmp_path, clock, {"+": call}, {"+": file}) as (_, agent):
        made = await agent.use("make_call", FROM_NEW_YORK)
        read = await agent.use("get_call", call_id=made.data["call_id"])

    assert made.text.startswith(words)
    assert made.data["outcome"] == read.data["outcome"] == outcome


async def test_a_differing_reported_time_is_structured(tmp_path: Path, clock: ManualClock) -> None:
    async with asking(tmp_path, clock, {"+": SEVEN}, {"+": AT_FOUR}) as (_, agent):
        made = await agent.use("make_call", FROM_NEW_YORK)

    assert made.data["appointment"]["agreed"]["time"] == "7:00 PM"
    assert made.data["asked"] == {"appointment_date": "2026-01-28", "appointment_time": "19:00"}


async def test_the_callees_words_decide_whether_it_is_booked(
    tmp_path: Path, clock: ManualClock
) -> None:
    call = {"status": "success", "highlights": "Reserved a table."}
    words = {"speaker": "HUMAN", "content": "Friday at eight, see you.", "timestamp": "00:00:21"}
    async with asking(tmp_path, clock, {"+": call}, {"+": AT_SEVEN}) as (kallyai, agent):
        kallyai.transcript = {"entries": [words]}
        made = await agent.use("make_call", FROM_NEW_YORK)
        kallyai.transcript = 503
        read = await agent.use("get_call", call_id=made.data["call_id"])

    assert made.data["outcome"] == "booked_other_time"
    assert made.data["appointment"]["agreed"] == {
        "time": "eight",
        "quote": "Friday at eight, see you.",
        "at": "0:21",
    }
    assert 'They said (0:21): "Friday at eight, see you."' in made.text
    assert read.data["appointment"]["agreed"] == made.data["appointment"]["agreed"]


async def test_words_that_differ_from_the_event_need_decision(
    tmp_path: Path, clock: ManualClock
) -> None:
    table = {name: value for name, value in FROM_NEW_YORK.items() if name not in _CALLEE}
    two = [{"respondent_phone": f"+1415555123{digit}"} for digit in (4, 5)]
    call = {"status": "success", "highlights": "Reserved a table."}
    words = {"speaker": "HUMAN", "content": "Friday at eight, see you.", "timestamp": "00:00:21"}
    async with asking(tmp_path, clock, {"+": call}, {"+": AT_SEVEN}) as (kallyai, agent):
        kallyai.transcript = {"entries": [words]}
        listed = await agent.use("call_around", table, candidates=two, until="booked")

    assert listed.data["status"] == "needs_decision"
    assert len(kallyai.bodies) == 1


async def test_a_list_waits_where_report_and_event_differ(
    tmp_path: Path, clock: ManualClock
) -> None:
    table = {name: value for name, value in FROM_NEW_YORK.items() if name not in _CALLEE}
    two = [{"respondent_phone": f"+1415555123{digit}"} for digit in (4, 5)]
    call = {"status": "success", "highlights": "Reserved a table at 7:30 PM."}
    async with asking(tmp_path, clock, {"+": call}, {"+": AT_SEVEN}) as (_, agent):
        listed = await agent.use("call_around", table, candidates=two, until="booked")

    assert listed.data["status"] == "needs_decision"
    assert [one["outcome"] for one in listed.data["calls"]] == ["booked_other_time"]


async def test_a_list_has_the_time_of_each_place(agent: Agent) -> None:
    table = {name: value for name, value in FROM_NEW_YORK.items() if name not in _CALLEE}
    two = [{"respondent_phone": number} for number in ("+14155551234", "+442079460123")]
    listed = await agent.use(
        "call_around", table, candidates=two, until="booked", appointment_time="20:00"
    )

    (booked,) = listed.data["calls"]
    assert booked["appointment"]["start"] == "2026-01-28T20:00:00-08:00"
    assert "8:00 PM there (11:00 PM in New York)" in listed.text


async def test_a_calls_time_without_offset_is_the_users(
    agent: Agent,
) -> None:
    scheduled = await agent.use("make_call", FROM_NEW_YORK, not_before="2026-01-26T15:00")

    assert scheduled.data["scheduled_for"] == "2026-01-26T12:00:00-08:00"
    assert "Mon Jan 26, 12:00 PM Los Angeles time (3:00 PM your time)" in scheduled.text


async def test_the_user_is_asked_by_both_clocks(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    user = User({"call_now": True})
    async with open_agent_for(
        settings_in(tmp_path, CONFIRM="always"), "auto", clock, app, user
    ) as agent:
        await agent.use(
            "make_call", BISTRO | {"timezone": "Europe/Madrid"}, not_before="2026-01-26T22:00"
        )

    assert "When: Mon Jan 26, 1:00 PM Los Angeles time (10:00 PM your time)" in user.messages[0]
