"""Numbers in a task: by how many days something moves, for how many people it is, and what kind of thing costs what."""

import re
from datetime import date, time
from typing import Any

import pytest

from kallyai_mcp.sandbox.simulator.agreement import Agreement
from tests.sandbox.simulator.calls import call, said

UNDATED: dict[str, Any] = {"appointment_date": None, "appointment_time": None, "additional_instructions": []}


@pytest.mark.parametrize(
    ("description", "day"),
    [
        ("Move my appointment by one week", "Friday, December 4"),
        ("Reschedule my appointment to two days later", "Sunday, November 29"),
        ("Please postpone our appointment by 3 weeks", "Friday, December 18"),
        ("Move my appointment by one day, earlier", "Thursday, November 26"),
        ("Aplaza mi cita una semana", "4 de diciembre"),
        ("Mueve mi cita a dos días después", "29 de noviembre"),
        ("Cambia mi cita a un día antes", "26 de noviembre"),
    ],
)
def test_a_change_by_some_days_is_offered_that_much_later(description: str, day: str) -> None:
    known = Agreement("a", "Test Guest", "clinic", None, date(2026, 11, 27), time(9, 40))
    language = "es" if "cita" in description else "en"
    moved = call(category="clinic", task_description=description, language=language, agreements=(known,), **UNDATED)

    assert moved.event is not None
    assert day in moved.highlights


def test_a_change_by_a_week_of_a_booking_that_is_not_known_is_not_for_tomorrow() -> None:
    moved = call(category="clinic", task_description="Move my appointment by one week", **UNDATED)

    assert moved.event is not None
    assert moved.event.start.isoformat().startswith("2026-12-01")


@pytest.mark.parametrize(
    ("description", "people"),
    [
        ("Book two seats at the bar for 8 PM", 2),
        ("Book a table for five on Friday", 5),
        ("Reserve a table for a party of 6", 6),
        ("Reserva una mesa para tres personas", 3),
        ("Book a table for 8 PM", None),
    ],
)
def test_a_booking_is_for_as_many_people_as_its_description_says(description: str, people: int | None) -> None:
    language = "es" if "mesa" in description else "en"
    booked = call(task_description=description, party_size=None, language=language, additional_instructions=[])

    assert booked.event is not None
    assert re.findall(r"(?:for|para) (\d+)", booked.event.summary) == ([str(people)] if people else [])
    assert bool(re.search(r"how many people|cuántas personas", said(booked, "HUMAN"))) == (people is None)


@pytest.mark.parametrize(
    ("service", "thing", "language"),
    [
        ("How much is an oil change?", "How much is a loaf of bread?", "en"),
        ("¿Cuánto cuesta un cambio de aceite?", "¿Cuánto cuesta una barra de pan?", "es"),
    ],
)
@pytest.mark.parametrize("number", ["+14155551234", "+12125550199", "+13105550177"])
def test_work_costs_more_than_a_thing_in_a_shop(service: str, thing: str, language: str, number: str) -> None:
    answers = [
        call(category="general", task_description=text, language=language, respondent_phone=number).highlights
        for text in (service, thing)
    ]
    prices = [float(re.findall(r"\d+", answer)[0]) for answer in answers]
    assert prices[0] >= 40
    assert prices[1] <= 20
