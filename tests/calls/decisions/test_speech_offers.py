"""Whether another time was offered, and whether the callee was closed."""

from datetime import date, time

import pytest

from kallyai_mcp.calls.speech.offers import Moment, closed_in, offer_in, unasked_in
from kallyai_mcp.calls.speech.sentences import Words
from tests.calls.transcripts import transcript

ASKED = Moment(date(2026, 1, 28), time(19))  # a Wednesday
WANT = ("AI", "A table for four on Wednesday at 7, please.")

OFFERS = [
    "I could offer 8:30 PM.",
    "We have a table at nine.",
    "How about half past eight?",
    "We could do Thursday at seven.",
    "Would eight thirty work for you?",
    "The next available slot is on Monday.",
    "Only at nine.",
    "We only have tables at 5 p.m.",
    "Podría ofrecerle las 8:30 p. m.",
    "Tenemos mesa a las nueve.",
    "¿Le va bien el sábado a la misma hora?",
]

NO_OFFERS = [
    "We have nothing left for 7:00 PM.",
    "We have nothing at nine either.",
    "We have a table at seven.",
    "We are open until ten.",
    "The kitchen closes at ten.",
    "I could offer you the terrace.",
    "We have that on Wednesday.",
    "We could do that.",
    "No tenemos nada a las nueve.",
    "Cerramos a las diez.",
]


@pytest.mark.parametrize("words", OFFERS)
def test_another_time_is_an_offer(words: str) -> None:
    said = transcript(WANT, ("HUMAN", f"I'm sorry. {words}"))

    assert offer_in(said, "", ASKED) == Words(words, "00:00:02")


@pytest.mark.parametrize("words", NO_OFFERS)
def test_other_words_are_no_offer(words: str) -> None:
    assert offer_in(transcript(WANT, ("HUMAN", words)), "", ASKED) is None


@pytest.mark.parametrize(
    ("report", "is_offer"),
    [
        ("Nothing was booked. They offered Friday at 8:30 PM; that was not accepted.", True),
        ("They could only do 9 PM.", True),
        ("They offered no other time.", False),
        ("Reserved a table at 7:00 PM.", False),
    ],
)
def test_a_report_can_name_an_offer(report: str, is_offer: bool) -> None:
    assert (offer_in(transcript(), report, ASKED) is not None) is is_offer


CLOSED = [
    "We are closed now.",
    "Please call again tomorrow between 9 and 11.",
    "Sorry, we're already closed for today.",
    "Try again in the morning, please.",
    "Estamos cerrados.",
    "Llame mañana a partir de las diez.",
]

OPEN = [
    "We are closed on Fridays.",
    "I will call you back tomorrow.",
    "We close at ten.",
    "Are you calling again tomorrow?",
    "The road is closed.",
    "Cerramos los lunes.",
    "Le llamamos mañana.",
]


@pytest.mark.parametrize("words", CLOSED)
def test_a_closed_callee_is_quoted(words: str) -> None:
    found = closed_in(transcript(WANT, ("HUMAN", words)))

    assert found == Words(words, "00:00:02")


@pytest.mark.parametrize("words", OPEN)
def test_other_words_say_nothing_of_now(words: str) -> None:
    assert closed_in(transcript(WANT, ("HUMAN", words))) is None


def test_a_time_that_nobody_named_is_unasked() -> None:
    said = transcript(WANT, ("HUMAN", "No. I could do nine."), ("AI", "Do you have 8:30 p.m.?"))
    late, half, nine = (time(20), time(20)), (time(20, 30), time(20, 30)), (time(21), time(22))

    assert unasked_in(said, [late, half, nine]) == (late,)
