"""No text and no structure claims more than KallyAI said, and none drops what the user must know."""

from datetime import date, datetime
from pathlib import Path

import pytest
from icalendar import Calendar
from mcp.types import TextResourceContents

from tests.agent import BISTRO
from tests.sandbox.manual_clock import ManualClock
from tests.tools.answering import asking, calendar_file


@pytest.mark.parametrize(
    ("event", "asked", "begins", "open_points", "adds"),
    [
        (
            ["SUMMARY:Table for 4", "DTSTART:20260129T000000Z"],
            {},
            "Booked: table for 4 at Italian Bistro (+1 415-555-1234), Wed Jan 28, 4:00 PM there.\n",
            None,
            None,
        ),
        (
            ["SUMMARY:Table for 2", "DTSTART:20260129T000000Z"],
            {},
            "Booked: table at Italian Bistro (+1 415-555-1234), Wed Jan 28, 4:00 PM there.\n",
            ["party_size"],
            "The calendar event does not confirm this: 4 people.",
        ),
        (
            ["SUMMARY:Dinner at 4 PM or 7:04", "DTSTART;VALUE=DATE:20260128"],
            {},
            "Booked: table at Italian Bistro (+1 415-555-1234), Wed Jan 28.\n",
            ["appointment_time", "party_size"],
            "The calendar event does not confirm this: 7:00 PM, 4 people.",
        ),
        (
            ["SUMMARY:Table for 4", "DTSTART:20260128T200000Z"],
            {"appointment_time": None, "time_preference_text": "after 5pm"},
            "Booked: table for 4 at Italian Bistro (+1 415-555-1234), Wed Jan 28, 12:00 PM there.\n",
            None,
            None,
        ),
    ],
)
async def test_what_the_calendar_event_does_not_show_is_not_claimed_but_named(
    tmp_path: Path,
    clock: ManualClock,
    event: list[str],
    asked: dict[str, object],
    begins: str,
    open_points: list[str] | None,
    adds: str | None,
) -> None:
    calls = {"+": {"status": "success", "highlights": "Reserved"}}
    arguments = {name: value for name, value in (BISTRO | asked).items() if value is not None}
    async with asking(tmp_path, clock, calls, {"+": calendar_file(event)}) as (_, agent):
        made = await agent.use("make_call", arguments)

    assert made.data["outcome"] == "booked"
    assert made.text.startswith(begins)
    assert made.data["appointment"].get("unconfirmed") == open_points
    assert [line for line in made.text.splitlines() if "confirm" in line] == ([adds] if adds else [])


async def test_an_appointment_that_kallyai_could_not_tell_of_is_asked_for_again(
    tmp_path: Path, clock: ManualClock
) -> None:
    calls = {"+": {"status": "success", "highlights": "Reserved"}}
    at_seven = calendar_file(["SUMMARY:Table for 4", "DTSTART:20260129T000000Z"])
    async with asking(tmp_path, clock, calls, {"+": 500}) as (kallyai, agent):
        made = await agent.use("make_call", BISTRO)
        still = await agent.use("get_call", call_id=made.data["call_id"])
        kallyai.calendars["+"] = at_seven
        read = await agent.use("get_call", call_id=made.data["call_id"])
        kallyai.calendars["+"] = 500
        kept = await agent.use("get_call", call_id=made.data["call_id"])

    assert made.data["outcome"] == still.data["outcome"] == "answered"
    assert made.data["calendar_checked"] is still.data["calendar_checked"] is False
    assert "Whether an appointment was made is not known: no calendar file shows it. get_call asks again." in made.text
    assert read.data["outcome"] == kept.data["outcome"] == "booked"
    assert read.text.startswith("Booked: table for 4 at Italian Bistro")


async def test_a_calendar_file_that_does_not_name_one_time_is_no_booking(tmp_path: Path, clock: ManualClock) -> None:
    two_starts = calendar_file(["DTSTART:20260129T000000Z"], ["DTSTART:20260129T013000Z"])
    async with asking(tmp_path, clock, {"+": {"status": "success"}}, {"+": two_starts}) as (_, agent):
        made = await agent.use("make_call", BISTRO)
        event = await agent.use("get_calendar_event", call_id=made.data["call_id"])

    assert made.data["outcome"] == "answered"
    assert made.data["calendar_checked"] is False
    assert "appointment" not in made.data
    assert "Whether an appointment was made is not known" in made.text
    assert event.data["code"] == "several_events"


@pytest.mark.parametrize(
    ("phone", "timezone", "event", "booked", "listed"),
    [
        (
            "+14155551234",
            "America/New_York",
            "20260129T000000Z",
            ", Wed Jan 28, 4:00 PM there.",
            "Jan 28 4:00 PM there",
        ),
        ("+12125551234", "Europe/London", "20260128T190000Z", ", Wed Jan 28, 2:00 PM.", "Jan 28 2:00 PM  "),
        (
            "+18003569377",
            "Europe/London",
            "20260128T190000Z",
            ", Wed Jan 28, 7:00 PM London time.",
            "Jan 28 7:00 PM London time",
        ),
        (
            "+14155551234",
            "America/New_York",
            "20260129T013000Z",
            "Booked for another time: Wed Jan 28, 5:30 PM there; you asked for 4:00 PM.",
            "Jan 28 5:30 PM there",
        ),
    ],
)
async def test_there_is_the_clock_of_the_callee_and_not_that_of_the_request(
    tmp_path: Path, clock: ManualClock, phone: str, timezone: str, event: str, booked: str, listed: str
) -> None:
    """The reader is in New York, and asks for 7:00 PM in `timezone`."""
    file = calendar_file(["SUMMARY:Table for 4", f"DTSTART:{event}"])
    async with asking(tmp_path, clock, {"+": {"status": "success"}}, {"+": file}) as (_, agent):
        made = await agent.use("make_call", BISTRO, respondent_phone=phone, timezone=timezone)
        calls = await agent.use("list_calls")

    assert booked in made.text
    assert listed in calls.text


@pytest.mark.parametrize(
    ("event", "is_booking"),
    [
        (["DTSTART:20200128T190000Z", "DTEND:20200128T210000Z"], False),
        (["DTSTART:20260125T150000Z", "DURATION:PT2H"], True),
        (["DTSTART:20260125T073100"], True),
        (["DTSTART;VALUE=DATE:20260124"], False),
        (["DTSTART;VALUE=DATE:20260124", "DURATION:P2D"], True),
        (["DTSTART;VALUE=DATE:20260125"], True),
    ],
)
async def test_an_event_that_lies_before_the_call_is_no_booking(
    tmp_path: Path, clock: ManualClock, event: list[str], is_booking: bool
) -> None:
    called_at = {"created_at": "2026-01-25T15:30:00Z"}  # 7:30 AM at the callee
    hours = {"task_category": "general", "task_description": "Book a visit", "respondent_phone": "+14155551234"}
    async with asking(
        tmp_path,
        clock,
        {"+1": {"status": "success"} | called_at, "+44": {"status": "no_answer"}},
        {"+": calendar_file(event)},
    ) as (_, agent):
        made = await agent.use("make_call", hours)
        clock.advance(days=40)
        read = await agent.use("get_call", call_id=made.data["call_id"])
        file = await agent.use("get_calendar_event", call_id=made.data["call_id"])
        unanswered = await agent.use("make_call", hours | {"respondent_phone": "+442079460123"}, retries=1)

    for told in (made, read):
        assert told.data["outcome"] == ("booked" if is_booking else "answered")
        assert ("appointment" in told.data) == is_booking
        assert told.text.startswith("Booked: " if is_booking else "Answered: ")
    assert file.data.get("code") == (None if is_booking else "no_calendar_event")
    # An event is a sign that somebody talked, whenever it is.
    assert unanswered.data["outcome"] == "unknown"


@pytest.mark.parametrize(
    ("event", "start", "end"),
    [
        (["DTSTART:20260128T190000"], "2026-01-28T19:00:00+00:00", None),
        (["DTSTART;TZID=Bistro Time:20260128T190000"], "2026-01-28T19:00:00+00:00", None),
        (["DTSTART:20260728T180000Z"], "2026-07-28T19:00:00+01:00", None),
        (
            ["DTSTART;TZID=America/New_York:20260128T140000", "DURATION:PT2H"],
            "2026-01-28T19:00:00+00:00",
            "2026-01-28T21:00:00+00:00",
        ),
        (["DTSTART;VALUE=DATE:20260128", "DURATION:P2D"], "2026-01-28", "2026-01-30"),
        (["DTSTART:20260128T190000Z", "DURATION:-PT2H"], "2026-01-28T19:00:00+00:00", None),
    ],
    ids=["no zone", "a zone that nobody knows", "summer time", "a duration", "days", "a duration that is none"],
)
async def test_a_calendar_event_is_at_the_callees_time_in_words_structure_and_file(
    tmp_path: Path, clock: ManualClock, event: list[str], start: str, end: str | None
) -> None:
    london = {"respondent_phone": "+442079460123", "timezone": None}
    arguments = {name: value for name, value in (BISTRO | london).items() if value is not None}
    async with asking(tmp_path, clock, {"+": {"status": "success"}}, {"+": calendar_file(event)}) as (_, agent):
        made = await agent.use("make_call", arguments)
        told = await agent.use("get_calendar_event", call_id=made.data["call_id"])
        (file,) = (await agent.client.read_resource(told.data["calendar_uri"])).contents

    assert isinstance(file, TextResourceContents)
    (written,) = Calendar.from_ical(file.text).walk("VEVENT")
    is_day = "T" not in start
    at = date.fromisoformat(start) if is_day else datetime.fromisoformat(start)
    assert told.data["start"] == made.data["appointment"]["start"] == start
    assert told.data.get("end") == made.data["appointment"].get("end") == end
    assert written.decoded("DTSTART") == at
    assert ("DTEND" in written) == (end is not None)
    assert ("there (2:00 PM in New York)" in told.text) is not is_day


@pytest.mark.parametrize(
    ("event", "begins", "confirms"),
    [
        (["DTSTART;VALUE=DATE:20260128", "DTEND;VALUE=DATE:20260130"], ", Wed Jan 28 to Fri Jan 30.", []),
        (
            ["DTSTART;VALUE=DATE:20260128", "DTEND;VALUE=DATE:20260129"],
            ", Wed Jan 28 to Thu Jan 29.",
            ["The calendar event does not confirm this: departure 2026-01-30."],
        ),
    ],
)
async def test_a_hotel_stay_is_told_with_what_the_event_shows_of_its_end(
    tmp_path: Path, clock: ManualClock, event: list[str], begins: str, confirms: list[str]
) -> None:
    stay = BISTRO | {"task_category": "hotel", "appointment_time": "", "departure_date": "2026-01-30"}
    file = calendar_file(["SUMMARY:Room for 4", *event])
    async with asking(tmp_path, clock, {"+": {"status": "success"}}, {"+": file}) as (kallyai, agent):
        made = await agent.use("make_call", stay)
        listed = await agent.use("list_calls")
        wrong = await agent.use("make_call", stay, departure_date="2026-01-28")

    assert begins in made.text
    assert (
        begins.replace("Wed ", "").replace("to Thu ", "to ").replace("to Fri ", "to ").removesuffix(".") in listed.text
    )
    assert [line for line in made.text.splitlines() if "confirm" in line] == confirms
    assert "Departure: 2026-01-30" in kallyai.placed[made.data["call_id"]]["submission"]["additional_instructions"]
    assert '- departure_date: "2026-01-28" is not after the day of arrival.' in wrong.text


@pytest.mark.parametrize(
    ("at", "begins"),
    [
        (
            "20260128T233000",
            "Booked: table for 4 at Italian Bistro (+1 415-555-1234), Wed Jan 28, 8:30 PM there, one of",
        ),
        ("20260129T003000", "Booked for another time: Wed Jan 28, 9:30 PM there; you asked for 4:00 PM."),
    ],
)
async def test_one_of_the_other_times_is_no_surprise(tmp_path: Path, clock: ManualClock, at: str, begins: str) -> None:
    asked = BISTRO | {"other_times": "18:00, 23:00-23:45"}  # in New York
    file = calendar_file(["SUMMARY:Table for 4", f"DTSTART;TZID=America/New_York:{at}"])
    async with asking(tmp_path, clock, {"+": {"status": "success"}}, {"+": file}) as (kallyai, agent):
        made = await agent.use("make_call", asked)

    assert made.text.startswith(begins)
    assert kallyai.placed[made.data["call_id"]]["submission"]["additional_instructions"] == [
        "If that time is taken, agree to one of these: 18:00, 23:00-23:45"
    ]
