from datetime import datetime
from typing import Any

import pytest

from tests.sandbox.simulator.calls import NUMBER, call, said


@pytest.mark.parametrize(
    ("description", "answer", "respuesta"),
    [
        ("What are your opening hours?", "We're open", "Abrimos"),
        ("Ask how much a service costs", "$", "dólares"),
        ("Find out if the repair is ready", "it is ready", "está listo"),
        ("Do they have size 42 in stock?", "we have it here", "lo tenemos aquí"),
        ("¿Dónde se puede aparcar?", "park behind the building", "aparcar detrás"),
        ("Please cancel my order", "it is cancelled", "queda cancelado"),
        ("Mueve la entrega al lunes", "we have changed that", "lo cambiamos"),
        ("Can a dog come along?", "that is possible", "es posible"),
        ("Tell them the keys are under the mat", "take care of that", "nos ocupamos"),
    ],
)
def test_an_inquiry_gets_an_answer_that_fits_in_both_languages(description: str, answer: str, respuesta: str) -> None:
    result = call(category="general", task_description=description, call_language="es", language="en")
    assert respuesta in said(result, "HUMAN")
    assert respuesta in said(result, "AI")
    assert answer in result.highlights
    assert description in result.highlights
    assert result.event is None


@pytest.mark.parametrize(("number", "currency"), [(NUMBER, "$"), ("+442079460958", "£"), ("+34912345678", "€")])
def test_a_price_is_in_the_currency_of_the_number_called(number: str, currency: str) -> None:
    assert (
        currency in call(category="general", task_description="What does it cost?", respondent_phone=number).highlights
    )


def test_a_price_at_a_number_without_a_country_is_in_euros() -> None:
    result = call(category="general", task_description="What does it cost?", respondent_phone="12")
    assert "€" in result.highlights
    satellite = call(category="general", task_description="What does it cost?", respondent_phone="+881612345678")
    assert "€" in satellite.highlights


@pytest.mark.parametrize(
    "fields",
    [
        {"task_description": "Please cancel the table on Friday"},
        {"task_description": "Change the booking to six people"},
        {"task_description": "Ask whether they have vegan dishes"},
        {"task_description": "Tell them we will be late", "appointment_date": None, "party_size": None},
    ],
)
def test_an_inquiry_books_nothing(fields: dict[str, Any]) -> None:
    result = call(**fields)
    assert result.event is None
    assert fields["task_description"] in said(result, "AI")
    assert "Reserved" not in result.highlights


def test_an_inquiry_says_its_day_and_its_number_of_people() -> None:
    words = said(call(task_description="Ask whether they have vegan dishes"), "AI")
    assert "Friday, November 27 at 7:00 PM" in words
    assert "for 4" in words


def test_an_inquiry_without_a_name_gives_the_phone_number_if_there_is_one() -> None:
    assert "+1 202-555-0142" in said(call(category="general", user_name=None, user_phone="+12025550142"), "AI")
    assert "not given a name" in said(call(category="general", user_name=None), "AI")


def test_a_general_task_with_a_date_is_an_appointment_of_half_an_hour() -> None:
    event = call(category="general", appointment_date="2026-11-27", task_description="Bring in the car").event
    assert event is not None
    assert isinstance(event.start, datetime)
    assert isinstance(event.end, datetime)
    assert (event.end - event.start).total_seconds() == 1800
    assert "call-1" in event.description
