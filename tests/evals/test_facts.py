"""Times, days, amounts, and numbers are the same fact however they are written, in English and Spanish."""

import pytest

from tests.evals.facts import facts_in, unsupported


@pytest.mark.parametrize(
    ("said", "source"),
    [
        ("at 7:00 PM", "19:00"),
        ("at 7 p.m.", "7:00 PM"),
        ("at 7 o'clock", "19:00"),
        ("around noon", "12:00"),
        ("at 8:30", "20:30"),
        ("8 in the evening", "20:00"),
        ("a las 8 de la tarde", "20:00"),
        ("a las 9 y media", "21:30"),
        ("a las 20.30 h", "8:30 PM"),
        ("Friday, January 30", "2026-01-30"),
        ("January 30th", "2026-01-30"),
        ("30 de enero de 2026", "Jan 30"),
        ("el viernes", "2026-01-30"),
        ("2026-01-30", "30 January"),
        ("1/30", "2026-01-30"),
        ("$45", "45 dollars"),
        ("45 €", "€45.00"),
        ("$1,250", "US$1250"),
        ("(202) 555-0142", "+12025550142"),
        ("202-555-0142", "+1 202-555-0142"),
        ("912 345 678", "+34912345678"),
        ("order 4821", "Order number 4821."),
        ("Tuesday, January 27", "tomorrow at 3 PM"),
        ("el martes 27 de enero", "mañana a las 10"),
        ("January 26", "tonight"),
        ("Friday, January 30", "on Friday"),
        ("9:30 AM", "thu 930am"),
        ("020 7946 0112", "+442079460112"),
    ],
)
def test_the_same_fact_in_other_words_is_supported(said: str, source: str) -> None:
    assert facts_in(said)
    assert unsupported(said, [source]) == []


@pytest.mark.parametrize(
    ("said", "source"),
    [
        ("at 7:30 PM", "19:00"),
        ("at 8 AM", "20:00"),
        ("January 31", "2026-01-30"),
        ("on Saturday", "2026-01-30"),
        ("$46", "$45"),
        ("45 euros", "at 45 Main Street"),
        ("+1 202-555-0143", "+12025550142"),
        ("order 4822", "order 4821"),
        ("el 31 de enero", "30 de enero"),
        ("a las 9 de la noche", "a las 8 de la noche"),
        ("February 27", "on Friday"),
        ("January 27", "a las 10 de la mañana"),
    ],
)
def test_another_fact_is_not_supported(said: str, source: str) -> None:
    assert len(unsupported(said, [source])) == 1


@pytest.mark.parametrize(
    "text",
    [
        "a table for 4 by the window",
        "in 2 tries",
        "May I ask?",
        "3 min 5 s",
        "the sun",
        "open 24/7",
        "in 2026",
        "100% sure",
        "I can try again tomorrow",
    ],
)
def test_small_numbers_and_ordinary_words_are_no_facts(text: str) -> None:
    assert facts_in(text) == []
