"""Whether KallyAI's report names another time for the booking than its calendar event."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from kallyai_mcp.calls.reported_time import other_time_in

THERE = ZoneInfo("America/Los_Angeles")
SEVEN_PM = datetime(2026, 1, 28, 19, 0, tzinfo=THERE)
PHONE = "+14155551234"

FITS = [
    "Reserved table for 4 at 7pm",
    "Reserved a table for 4 on Wednesday, January 28 at 7:00 PM under the name Ada.",
    "Moved: a table for 4, under Ada, from Wednesday at 6:00 PM to Wednesday at 7:00 PM.",
    "Booked for 19:00.",
    "Booked for 7:00.",
    "Booked for 7 o'clock.",
    "6 PM was taken; reserved 7 PM.",
    "Confirmed. They are open from 5 PM to 10 PM.",
    "The table is booked; please arrive by 6:45 PM.",
    "Booked. The kitchen closes at 9:30 PM.",
    "Booked, but not at 6 PM.",
    'Booked. They said: "We open at 6 PM."',
    "Booked for January 28. It costs 12.50 per person, for 2 h.",
    "Reservada la mesa a las 7 de la tarde.",
    "Se reservó una mesa para 4 el miércoles a las 19:00, a nombre de Ada.",
    "Mesa reservada a las 7:00 p. m.",
    "Cierran a las 23:00. Reserva confirmada.",
    "Reservada la mesa para las siete.",
    "Reservada a las 6 y media.",
    "Booked.",
    "Call them at 6 PM to confirm.",
    "",
]

DIFFERS = [
    ("Reserved table for 4 at 4pm", "4pm"),
    ("Reserved a table on Wednesday, January 28 at 7:30 PM under the name Ada.", "7:30 PM"),
    ("Booked for 20:00.", "20:00"),
    ("Booked for 8:00.", "8:00"),
    ("7 PM was taken; reserved 8:30 PM.", "8:30 PM"),
    ("Your appointment is at 9 a.m.", "9 am"),
    ("The table is moved to 6 p.m.", "6 pm"),
    ("Reserved at noon.", "noon"),
    ("Se reservó una mesa a las 8 de la tarde.", "las 8 de la tarde"),
    ("La cita queda a las 19:30.", "19:30"),
    ("Mesa reservada a las 8:00 p. m.", "8:00 pm"),
]


@pytest.mark.parametrize("report", FITS)
def test_a_report_that_names_no_other_time_agrees(report: str) -> None:
    assert other_time_in(report, SEVEN_PM, PHONE) is None


@pytest.mark.parametrize(("report", "time"), DIFFERS)
def test_a_report_of_another_time_is_found(report: str, time: str) -> None:
    assert other_time_in(report, SEVEN_PM, PHONE) == time


def test_the_times_of_a_report_are_the_callees() -> None:
    at_seven_in_new_york = datetime(2026, 1, 28, 19, 0, tzinfo=ZoneInfo("America/New_York"))

    assert other_time_in("Booked for 7 PM", at_seven_in_new_york, PHONE) == "7 PM"
    assert other_time_in("Booked for 4 PM", at_seven_in_new_york, PHONE) is None


def test_without_a_known_clock_of_the_callee_that_of_the_event_counts() -> None:
    assert other_time_in("Booked for 7 PM", SEVEN_PM, "+18005551234") is None
    assert other_time_in("Booked for 7 PM", SEVEN_PM, None) is None


def test_any_clock_of_a_number_with_several_counts() -> None:
    in_madrid = datetime(2026, 1, 28, 19, 0, tzinfo=ZoneInfo("Europe/Madrid"))

    assert other_time_in("Reserva confirmada a las 18:00", in_madrid, "+34612345678") is None
    assert other_time_in("Reserva confirmada a las 17:00", in_madrid, "+34612345678") == "17:00"


def test_an_event_of_a_whole_day_has_no_time_to_differ() -> None:
    assert other_time_in("Booked for 7 PM", date(2026, 1, 28), PHONE) is None
