"""Whether a time that was agreed to in words is another one than that of the calendar event."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from kallyai_mcp.calls.speech.agreed_time import AgreedTime, agreed_other_time
from kallyai_mcp.calls.speech.sentences import LONGEST_QUOTE
from tests.calls.transcripts import transcript

THERE = ZoneInfo("America/Los_Angeles")
SEVEN_PM = datetime(2026, 1, 28, 19, 0, tzinfo=THERE)
PHONE = "+14155551234"


def other_time_in(report: str, start: date | datetime, number: str | None) -> str | None:
    """The time in a report that is not the event's."""
    other = agreed_other_time(report, None, start, number)
    return other.time if other is not None else None


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
    "Booked.",
    "Call them at 6 PM to confirm.",
    "",
]

DIFFERS = [
    ("Reservada a las 6 y media.", "las 6 y media"),
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


def test_without_the_callees_clock_the_events_counts() -> None:
    assert other_time_in("Booked for 7 PM", SEVEN_PM, "+18005551234") is None
    assert other_time_in("Booked for 7 PM", SEVEN_PM, None) is None


def test_any_clock_of_a_number_with_several_counts() -> None:
    in_madrid = datetime(2026, 1, 28, 19, 0, tzinfo=ZoneInfo("Europe/Madrid"))

    assert other_time_in("Reserva confirmada a las 18:00", in_madrid, "+34612345678") is None
    assert other_time_in("Reserva confirmada a las 17:00", in_madrid, "+34612345678") == "17:00"


def test_a_whole_day_has_no_other_time() -> None:
    assert other_time_in("Booked for 7 PM", date(2026, 1, 28), PHONE) is None


REPORTED_THAT_FIT = [
    "Booked for seven, please come at quarter to.",
    "Booked for seven; arrive at half past six.",
    "Reserved for four at seven.",
    "A table for six is booked at seven in the evening.",
    "Booked for four under Ada.",
    "The table is reserved for 19.00 h.",
    "Confirmed for 7.",
    "Reservada para cuatro a las siete de la tarde.",
    "Mesa reservada para las siete; la cocina cierra a las once.",
    "Queda reservada a las siete, pero hay que llegar a las siete menos cuarto.",
    "Las ocho no era posible; se reserv\u00f3 a las siete.",
]

REPORTED_THAT_DIFFER = [
    ("Booked for half past seven.", "half past seven"),
    ("Reserved at quarter to eight.", "quarter to eight"),
    ("Your table is booked at seven thirty.", "seven thirty"),
    ("Booked for eight o'clock.", "eight o'clock"),
    ("The appointment is at nine in the morning.", "nine in the morning"),
    ("Booked at 8 for four people.", "8"),
    ("Reservada a las siete y media.", "las siete y media"),
    ("La cita queda a las ocho menos cuarto.", "las ocho menos cuarto"),
    ("Reservada a cuarto para las ocho.", "cuarto para las ocho"),
    ("Mesa confirmada a la una.", "la una"),
    ("Reserva confirmada a las siete y diez.", "las siete y diez"),
]

SAID_THAT_FIT = [
    "Friday at seven, see you then.",
    "You're down for seven.",
    "I've put you down for four people at seven.",
    "I can't do eight, but I have you at seven.",
    "You're all set for seven. We open at six.",
    "Shall we say you're booked for eight?",
    "If you're not here by quarter past seven, your booking at seven is gone.",
    "How about eight?",
    "It is eight o'clock already.",
    "The next appointment I have is at nine.",
    "I see your reservation at eight.",
    "Your table was at eight.",
    "I can put you down for nine.",
    "Solo queda una mesa a las ocho.",
    "Veo su reserva a las ocho.",
    "We could do eight or nine.",
    "Le apunto a las siete, para cuatro.",
    "Les esperamos a las siete, vengan a las siete menos diez.",
    "\u00bfLe apunto a las ocho?",
]

SAID_THAT_DIFFER = [
    ("Okay, eight o'clock it is.", "eight o'clock"),
    ("Your table is at eight.", "eight"),
    ("Friday at eight, see you then.", "eight"),
    ("I've put you down for half seven.", "half seven"),
    ("You're booked in at quarter past eight.", "quarter past eight"),
    ("Okay, see you at nine tonight.", "nine tonight"),
    ("You are all set for 8:30 p.m.", "8:30 pm"),
    ("Le apunto a las ocho de la tarde.", "las ocho de la tarde"),
    ("Queda anotado: cuatro personas, a las nueve y cuarto.", "las nueve y cuarto"),
    ("Nos vemos a las ocho y media.", "las ocho y media"),
]


@pytest.mark.parametrize("report", REPORTED_THAT_FIT)
def test_times_in_words_of_a_report_agree(report: str) -> None:
    assert agreed_other_time(report, None, SEVEN_PM, PHONE, party_size=4) is None


@pytest.mark.parametrize(("report", "time"), REPORTED_THAT_DIFFER)
def test_another_time_in_words_of_a_report(report: str, time: str) -> None:
    found = agreed_other_time(report, None, SEVEN_PM, PHONE, party_size=4)

    assert found == AgreedTime(time, report, None)


@pytest.mark.parametrize("words", SAID_THAT_FIT)
def test_times_in_the_callees_words_agree(words: str) -> None:
    said = transcript(("AI", "A table at seven, please."), ("HUMAN", words))

    assert agreed_other_time(None, said, SEVEN_PM, PHONE, party_size=4) is None


@pytest.mark.parametrize(("words", "time"), SAID_THAT_DIFFER)
def test_another_time_in_the_callees_words(words: str, time: str) -> None:
    said = transcript(("AI", "A table at seven, please."), ("HUMAN", words))
    found = agreed_other_time(None, said, SEVEN_PM, PHONE, party_size=4)

    assert found is not None
    assert (found.time, found.at) == (time, "00:00:02")


def test_one_time_that_fits_is_enough() -> None:
    said = transcript(("HUMAN", "I have you down for eight. No, sorry: you are booked at seven."))

    assert agreed_other_time("Booked for 8 PM.", said, SEVEN_PM, PHONE) is None
    assert agreed_other_time("Booked for 8 PM.", None, SEVEN_PM, PHONE) is not None


def test_a_number_for_people_is_no_other_time() -> None:
    report = "Booked for eight."

    assert agreed_other_time(report, None, SEVEN_PM, PHONE) is None
    assert agreed_other_time(report, None, SEVEN_PM, PHONE, party_size=8) is None
    assert agreed_other_time(report, None, SEVEN_PM, PHONE, party_size=2) is not None


def test_what_kallyai_said_is_not_agreed() -> None:
    said = transcript(("AI", "So I am booked for eight o'clock, see you then."))

    assert agreed_other_time(None, said, SEVEN_PM, PHONE) is None


def test_the_callees_words_come_before_the_report() -> None:
    said = transcript(("HUMAN", "Friday at eight, see you then."))
    found = agreed_other_time("Booked for 9 PM.", said, SEVEN_PM, PHONE)

    assert found == AgreedTime("eight", "Friday at eight, see you then.", "00:00:01")


def test_very_long_words_are_read_for_times() -> None:
    huge = "half past seven booked " * 4_400
    found = agreed_other_time(huge, transcript(("HUMAN", huge)), SEVEN_PM, PHONE)

    assert found is not None
    assert found.time == "half past seven"
    assert len(found.quote) <= LONGEST_QUOTE
