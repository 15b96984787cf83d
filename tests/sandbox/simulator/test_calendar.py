from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar

from kallyai_mcp.sandbox.simulator.calendar import ics
from tests.sandbox.simulator.calls import NOW, call


def file_of(**changes: Any) -> str:
    event = call(**changes).event
    assert event is not None
    return ics(event, call_id="call-1", now=NOW)


def read(**changes: Any) -> Any:
    (vevent,) = icalendar.Calendar.from_ical(file_of(**changes)).walk("VEVENT")
    return vevent


def test_the_file_contains_what_was_agreed() -> None:
    vevent = read(business_name="Italian; Bistro, Ñ")
    new_york = ZoneInfo("America/New_York")
    texts = {
        "UID": "call-1@sandbox.kallyai.test",
        "SUMMARY": "Table for 4 at Italian; Bistro, Ñ",
        "LOCATION": "Italian; Bistro, Ñ",
    }
    times = {
        "DTSTAMP": NOW,
        "DTSTART": datetime(2026, 11, 27, 19, tzinfo=new_york),
        "DTEND": datetime(2026, 11, 27, 21, tzinfo=new_york),
    }

    assert {name: vevent[name] for name in texts} == texts
    assert {name: vevent[name].dt for name in times} == times
    assert vevent["DTSTART"].params["TZID"] == "America/New_York"
    assert file_of().count("BEGIN:VTIMEZONE") == 1


def test_a_calendar_file_is_always_well_formed() -> None:
    lines = file_of(business_name="Ñ" * 200).split("\r\n")
    assert lines[-1] == ""
    assert not any("\n" in line for line in lines)
    assert max(len(line.encode()) for line in lines) <= 75
    vevent = read(
        business_name="Bistro\r\nEND:VEVENT\r\nBEGIN:VEVENT", task_description="x\r\nATTENDEE:me"
    )
    assert "ATTENDEE" not in vevent


def test_an_appointments_length_depends_on_its_kind() -> None:
    for category, minutes in (("restaurant", 120), ("clinic", 30), ("general", 30)):
        vevent = read(task_category=category)
        assert vevent["DTEND"].dt - vevent["DTSTART"].dt == timedelta(minutes=minutes)
    vevent = read(task_category="hotel", appointment_time="15:00")
    assert (vevent["DTSTART"].dt, vevent["DTEND"].dt) == (date(2026, 11, 27), date(2026, 11, 28))
    assert vevent["DTSTART"].params["VALUE"] == "DATE"


def test_an_appointment_keeps_its_moment_despite_clock_changes() -> None:
    for day, at, start in (
        # The clocks go forward at two.
        ("2027-03-14", "01:00", datetime(2027, 3, 14, 6, tzinfo=UTC)),
        # It ends in an hour that comes twice.
        ("2027-11-07", "00:30", datetime(2027, 11, 7, 4, 30, tzinfo=UTC)),
    ):
        vevent = read(appointment_date=day, appointment_time=at)
        assert vevent["DTSTART"].dt.astimezone(UTC) == start
        assert vevent["DTEND"].dt.astimezone(UTC) - start == timedelta(hours=2)
