"""No text and no structure claims more than KallyAI said, and none drops what the user must
know.
"""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from icalendar import Calendar

from kallyai_mcp.sandbox.app import SandboxApp
from tests.agent import BISTRO, open_agent, settings_in
from tests.sandbox.manual_clock import ManualClock
from tests.tools.answering import asking, calendar_file

TABLE, HOTEL = (
    "SUMMARY:Table for 4",
    {"task_category": "hotel", "appointment_time": "", "departure_date": "2026-01-30"},
)
TO_FRIDAY = ["SUMMARY:Room for 4", "DTSTART;VALUE=DATE:20260128", "DTEND;VALUE=DATE:20260130"]
TO_THURSDAY = ["SUMMARY:Room for 4", "DTSTART;VALUE=DATE:20260128", "DTEND;VALUE=DATE:20260129"]
OTHER_TIMES = {"other_times": "18:00, 20:00-20:45"}
IN_LONDON = {"respondent_phone": "+12125551234", "timezone": "Europe/London"}
TOLL_FREE = {"respondent_phone": "+18003569377", "timezone": "Europe/London"}

RESERVED = {"+": {"status": "success", "highlights": "Reserved"}}

Row = tuple[list[str], dict[str, Any], str, str, list[str], str]
EVENTS: tuple[Row, ...] = (
    (
        [TABLE, "DTSTART:20260129T030000Z"],
        {},
        "Booked: table for 4",
        "Wed Jan 28, 7:00 PM there (",
        [],
        "7:00 PM there",
    ),
    (
        ["SUMMARY:Dinner at 4 PM or 7:04", "DTSTART;VALUE=DATE:20260128"],
        {},
        "Booked: table at",
        "not confirm this: 7:00 PM, 4 people.",
        ["appointment_time", "party_size"],
        "  table, Jan 28  ",
    ),
    (
        [TABLE, "DTSTART:20260129T000000Z"],
        IN_LONDON,
        "Booked: ",
        ", Wed Jan 28, 7:00 PM there (Thu Jan 29, 12:00 AM in London).",
        [],
        ", Jan 28 7:00 PM  ",
    ),
    (
        [TABLE, "DTSTART:20260128T190000Z"],
        TOLL_FREE,
        "Booked: ",
        ", Wed Jan 28, 7:00 PM.",
        [],
        "7:00 PM London time",
    ),
    (TO_FRIDAY, HOTEL, "Booked: room", "Wed Jan 28 to Fri Jan 30.", [], ", Jan 28 to Jan 30"),
    (
        TO_THURSDAY,
        HOTEL,
        "Booked: room",
        "this: departure 2026-01-30.",
        ["departure_date"],
        ", Jan 28 to Jan 29",
    ),
    (
        [TABLE, "DTSTART:20260129T043000Z"],
        OTHER_TIMES,
        "Booked: table",
        "York), one of the other times that you gave.",
        [],
        "",
    ),
    (
        [TABLE, "DTSTART:20260129T053000Z"],
        OTHER_TIMES,
        "Booked for another time: ",
        "; you asked for 7:00 PM.",
        [],
        "",
    ),
)
"""An event, what was asked for besides, how the text begins and goes on, what is unconfirmed, and
the row of the call.

The reader is in New York, or in the `timezone`, and asks for 7:00 PM at the callee.
"""


async def test_a_booking_is_told_by_its_event(tmp_path: Path, clock: ManualClock) -> None:
    async with asking(tmp_path, clock, RESERVED) as (kallyai, agent):
        for count, (event, asked, begins, then, unconfirmed, row) in enumerate(EVENTS):
            kallyai.calendars = {"+": calendar_file(event)}
            made = await agent.use(
                "make_call", BISTRO | {"respondent_phone": f"+1415555{1200 + count}"} | asked
            )
            listed = await agent.use("list_calls", limit=1)

            assert made.text.startswith(begins)
            assert then in made.text
            assert ("does not confirm" in made.text) == bool(unconfirmed)
            assert made.data["appointment"].get("unconfirmed", []) == unconfirmed
            assert row in listed.text


async def test_departure_and_other_times_are_instructions(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with asking(tmp_path, clock, RESERVED) as (kallyai, agent):
        await agent.use("make_call", BISTRO | HOTEL)
        await agent.use("make_call", BISTRO | OTHER_TIMES)
    hotel, other_times = (body["submission"] for body in kallyai.bodies)

    assert "Departure: 2026-01-30" in hotel["additional_instructions"]
    assert other_times["additional_instructions"] == [
        "If that time is taken, agree to the first of these that is free, in this order: "
        "18:00, 20:00-20:45",
        "Say in your first sentence that you are an AI assistant calling for Sample Guest.",
    ]


async def test_other_times_without_a_question_are_named(tmp_path: Path, clock: ManualClock) -> None:
    at_eight = calendar_file(["SUMMARY:Table for 4", "DTSTART:20260129T040000Z"])
    said = {"speaker": "HUMAN", "content": "At eight, then."}
    async with asking(tmp_path, clock, RESERVED, {"+": at_eight}) as (kallyai, agent):
        kallyai.transcript = {"entries": [said]}
        booked = await agent.use("make_call", BISTRO, other_times="18:00, 20:00, 21:00")
        kallyai.calendars = {}
        answered = await agent.use(
            "make_call", BISTRO, other_times="18:00-18:30, 21:00", party_size=5
        )

    assert "6:00 PM was not asked about." in booked.text
    assert "6:00 PM to 6:30 PM and 9:00 PM were not asked about." in answered.text


async def test_a_departure_is_after_the_arrival(tmp_path: Path, clock: ManualClock) -> None:
    async with asking(tmp_path, clock, RESERVED) as (_, agent):
        wrong = await agent.use("make_call", BISTRO | HOTEL, departure_date="2026-01-28")

    assert '- departure_date: "2026-01-28" is not after the day of arrival.' in wrong.text


async def test_a_missing_appointment_is_looked_up_again(tmp_path: Path, clock: ManualClock) -> None:
    calls = {"+": {"status": "success", "highlights": "Reserved", "call_id": "c-1"}}
    async with asking(tmp_path, clock, calls, {"+": 500}) as (kallyai, agent):
        made = await agent.use("make_call", BISTRO)
        still = await agent.use("get_call", call_id="c-1")
        kallyai.calendars["+"] = calendar_file([TABLE, "DTSTART:20260129T030000Z"])
        read = await agent.use("get_call", call_id="c-1")
        kallyai.calendars["+"] = 500
        kept = await agent.use("get_call", call_id="c-1")

    assert made.data["outcome"] == still.data["outcome"] == "answered"
    assert made.data["calendar_checked"] is still.data["calendar_checked"] is False
    assert read.data["outcome"] == kept.data["outcome"] == "booked"


async def test_a_calendar_with_two_times_books_nothing(tmp_path: Path, clock: ManualClock) -> None:
    two_starts = calendar_file(["DTSTART:20260129T000000Z"], ["DTSTART:20260129T013000Z"])
    async with asking(tmp_path, clock, {"+": {"status": "success"}}, {"+": two_starts}) as (
        _,
        agent,
    ):
        made = await agent.use("make_call", BISTRO)
        event = await agent.use("get_calendar_event", call_id=made.data["call_id"])

    assert (made.data["outcome"], made.data["calendar_checked"]) == ("answered", False)
    assert "appointment" not in made.data
    assert event.data["code"] == "several_events"


async def test_another_programs_call_says_so(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    """KallyAI knows the request by its key, which is the same on each machine."""
    homes = [settings_in(tmp_path / name) for name in ("one", "two")]
    async with (
        open_agent(homes[0], mode="auto", clock=clock, app=app) as there,
        open_agent(homes[1], mode="auto", clock=clock, app=app) as agent,
    ):
        placed = await there.use("make_call", BISTRO)
        clock.advance(minutes=37)
        answered = await agent.use("make_call", BISTRO)

    assert answered.data["call_id"] == placed.data["call_id"]
    assert answered.data["placed_now"] is False
    assert answered.text.splitlines()[0] == (
        "Already called at 10:30 AM by another program of yours (this one has no "
        "record of it); no new call was placed. To call again on purpose: redial=true."
    )


async def test_who_follows_another_programs_call_is_told(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    homes = [settings_in(tmp_path / name) for name in ("one", "two")]
    async with (
        open_agent(homes[0], mode="auto", clock=clock, app=app) as there,
        open_agent(homes[1], mode="auto", clock=clock, app=app) as agent,
    ):
        await there.use("make_call", BISTRO)
        clock.advance(minutes=2)
        answered = await agent.use("make_call", BISTRO, wait_seconds=0)
        told = await agent.use("get_call", call_id=answered.data["tracking_id"], wait_seconds=100)

    assert told.text.startswith("Already called at 10:30 AM by another program of yours")


BEFORE_OR_AFTER: list[tuple[list[str], bool]] = [
    (["DTSTART:20200128T190000Z", "DTEND:20200128T210000Z"], False),
    (["DTSTART:20260125T150000Z", "DTEND:20260125T170000Z"], True),
    (["DTSTART:20260125T073100"], True),
    (["DTSTART;VALUE=DATE:20260124"], False),
    (["DTSTART;VALUE=DATE:20260124", "DTEND;VALUE=DATE:20260126"], True),
    (["DTSTART;VALUE=DATE:20260125"], True),
]
"""An event, and whether it can be of a call at 7:30 AM of January 25 at the callee."""

VISIT = {"task_category": "general", "task_description": "Book a visit"}
VISITED = {"+": {"status": "success", "created_at": "2026-01-25T15:30:00Z"}}


async def test_an_event_before_the_call_books_nothing(tmp_path: Path, clock: ManualClock) -> None:
    async with asking(tmp_path, clock, VISITED) as (kallyai, agent):
        for count, (event, is_booking) in enumerate(BEFORE_OR_AFTER):
            kallyai.calendars = {"+": calendar_file(event)}
            made = await agent.use("make_call", VISIT, respondent_phone=f"+1415555{1200 + count}")
            file = await agent.use("get_calendar_event", call_id=made.data["call_id"])

            assert made.data["outcome"] == ("booked" if is_booking else "answered")
            assert ("appointment" in made.data) == is_booking
            assert file.data.get("code") == (None if is_booking else "no_calendar_event")


async def test_a_booking_that_is_over_stays_one(tmp_path: Path, clock: ManualClock) -> None:
    event = calendar_file(["DTSTART;VALUE=DATE:20260125"])
    async with asking(tmp_path, clock, VISITED, {"+": event}) as (_, agent):
        made = await agent.use("make_call", VISIT, respondent_phone="+14155551200")
        clock.advance(days=40)
        read = await agent.use("get_call", call_id=made.data["call_id"])

    assert read.data["outcome"] == "booked"


async def test_any_event_says_that_somebody_talked(tmp_path: Path, clock: ManualClock) -> None:
    event = calendar_file(["DTSTART;VALUE=DATE:20260125"])
    clock.advance(days=40)
    async with asking(tmp_path, clock, {"+": {"status": "no_answer"}}, {"+": event}) as (_, agent):
        unanswered = await agent.use(
            "make_call", VISIT, respondent_phone="+442079460123", retries=1
        )

    assert unanswered.data["outcome"] == "unknown"


IN_BRITAIN: list[tuple[list[str], str, str | None]] = [
    (["DTSTART:20260128T190000"], "2026-01-28T19:00:00+00:00", None),
    (["DTSTART;TZID=Bistro Time:20260128T190000"], "2026-01-28T19:00:00+00:00", None),
    (["DTSTART:20260728T180000Z"], "2026-07-28T19:00:00+01:00", None),
    (
        ["DTSTART;TZID=America/New_York:20260128T140000", "DTEND:20260128T210000Z"],
        "2026-01-28T19:00:00+00:00",
        "2026-01-28T21:00:00+00:00",
    ),
    (["DTSTART;VALUE=DATE:20260128", "DTEND;VALUE=DATE:20260130"], "2026-01-28", "2026-01-30"),
]
"""An event of a callee in Britain, its start, and its end."""


@pytest.mark.parametrize(("event", "start", "end"), IN_BRITAIN)
async def test_an_event_is_at_the_callees_time(
    tmp_path: Path, clock: ManualClock, event: list[str], start: str, end: str | None
) -> None:
    asked = {name: value for name, value in BISTRO.items() if name != "timezone"}
    events = {"+": calendar_file(event)}
    async with asking(tmp_path, clock, {"+": {"status": "success"}}, events) as (_, agent):
        made = await agent.use("make_call", asked | {"respondent_phone": "+442079461200"})
        told = await agent.use("get_calendar_event", call_id=made.data["call_id"])
        file = await agent.read(told.data["calendar_uri"])
    (written,) = Calendar.from_ical(file.text).walk("VEVENT")
    is_day = "T" not in start

    assert told.data["start"] == made.data["appointment"]["start"] == start
    assert told.data.get("end") == made.data["appointment"].get("end") == end
    assert written.decoded("DTSTART") == (date if is_day else datetime).fromisoformat(start)
    assert ("DTEND" in written) == (end is not None)
    assert ("there (2:00 PM in New York)" in told.text) is not is_day
