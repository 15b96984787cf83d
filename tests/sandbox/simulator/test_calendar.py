from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar

from kallyai_mcp.sandbox.simulator.calendar import ics
from kallyai_mcp.sandbox.simulator.scenario import Scenario
from kallyai_mcp.sandbox.simulator.simulated_call import Event
from kallyai_mcp.sandbox.simulator.simulation import CallFacts, simulate
from kallyai_mcp.sandbox.simulator.submission import Submission

NOW = datetime(2026, 1, 24, 15, 30, 5, tzinfo=UTC)


def agreed(timezone: str | None = "America/New_York", **fields: Any) -> Event:
    submission = {
        "task_category": "restaurant",
        "task_description": "Book a table",
        "respondent_phone": "+14155551234",
        "business_name": "Italian; Bistro, Ñ",
        "user_name": "Test Guest",
        "appointment_date": "2026-02-27",
        "appointment_time": "19:00",
        "party_size": 4,
    } | fields
    event = simulate(CallFacts(Submission.model_validate(submission), NOW, timezone, "call-1"), Scenario()).event
    assert event is not None
    return event


def read(event: Event) -> tuple[icalendar.Component, Any]:
    calendar = icalendar.Calendar.from_ical(ics(event, call_id="call-1", now=NOW))
    (vevent,) = calendar.walk("VEVENT")
    return calendar, vevent


def zones(calendar: icalendar.Component) -> list[str]:
    return [str(zone["TZID"]) for zone in calendar.walk("VTIMEZONE")]


def test_the_file_contains_what_was_agreed() -> None:
    event = agreed()
    calendar, vevent = read(event)
    new_york = ZoneInfo("America/New_York")
    assert calendar["VERSION"] == "2.0"
    assert "PRODID" in calendar
    assert vevent["UID"] == "call-1@sandbox.kallyai.test"
    assert vevent["DTSTAMP"].dt == NOW
    assert vevent["DTSTART"].dt == datetime(2026, 2, 27, 19, tzinfo=new_york)
    assert vevent["DTSTART"].params["TZID"] == "America/New_York"
    assert vevent["DTEND"].dt == datetime(2026, 2, 27, 21, tzinfo=new_york)
    assert vevent["SUMMARY"] == "Table for 4 at Italian; Bistro, Ñ"
    assert vevent["LOCATION"] == "Italian; Bistro, Ñ"
    assert vevent["DESCRIPTION"] == event.description
    assert zones(calendar) == ["America/New_York"]


def test_the_file_is_well_formed_whatever_the_texts_are() -> None:
    text = ics(agreed(business_name="Ñ" * 200), call_id="call-1", now=NOW)
    lines = text.split("\r\n")
    assert lines[-1] == ""
    assert not any("\n" in line for line in lines)
    assert max(len(line.encode()) for line in lines) <= 75
    _, vevent = read(agreed(business_name="Bistro\r\nEND:VEVENT\r\nBEGIN:VEVENT", task_description="x\r\nATTENDEE:me"))
    assert "ATTENDEE" not in vevent


def test_how_long_an_appointment_lasts_depends_on_its_kind() -> None:
    for category, minutes in (("restaurant", 120), ("clinic", 30), ("general", 30)):
        _, vevent = read(agreed(task_category=category))
        assert vevent["DTEND"].dt - vevent["DTSTART"].dt == timedelta(minutes=minutes)
    calendar, vevent = read(agreed(task_category="hotel", appointment_time="15:00"))
    assert (vevent["DTSTART"].dt, vevent["DTEND"].dt) == (date(2026, 2, 27), date(2026, 2, 28))
    assert vevent["DTSTART"].params["VALUE"] == "DATE"
    assert zones(calendar) == []


def test_an_appointment_keeps_its_moment_and_length_when_the_clocks_change() -> None:
    for at, start in (("01:00", 6), ("03:30", 7)):  # the clocks go forward at two
        _, vevent = read(agreed("America/New_York", appointment_date="2026-03-08", appointment_time=at))
        assert vevent["DTSTART"].dt.astimezone(UTC).hour == start
        assert vevent["DTEND"].dt.astimezone(UTC) - vevent["DTSTART"].dt.astimezone(UTC) == timedelta(hours=2)


def test_an_end_in_a_repeated_hour_is_written_in_utc() -> None:
    event = agreed("America/New_York", appointment_date="2026-11-01", appointment_time="00:30")
    calendar, vevent = read(event)
    assert vevent["DTSTART"].dt == datetime(2026, 11, 1, 4, 30, tzinfo=UTC)
    assert vevent["DTEND"].dt == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    assert zones(calendar) == []
