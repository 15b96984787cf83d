from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from kallyai_mcp.sandbox.simulator.numbers import lookup
from kallyai_mcp.sandbox.simulator.scenario import Scenario
from tests.sandbox.simulator.calls import COUNTER_OFFER, NUMBER, call, said

VOICEMAIL = "+12025550105"


@pytest.mark.parametrize(
    ("description", "answer", "respuesta"),
    [
        ("What are your opening hours?", "We're open", "Abrimos"),
        ("Ask how much a service costs", "$", "dólares"),
        ("Find out if the repair is ready", "it is ready", "está listo"),
        ("Do they have size 42 in stock?", "we have it here", "lo tenemos aquí"),
        ("¿Dónde se puede aparcar?", "park behind the building", "aparcar detrás"),
        ("Please cancel my order", "It is canceled", "Queda cancelada"),
        ("Mueve la entrega al lunes", "We have changed that", "Lo cambiamos"),
        ("Can a dog come along?", "that is possible", "es posible"),
        ("Tell them the keys are under the mat", "take care of that", "nos ocupamos"),
        ("Order two loaves of rye bread", "it can be collected", "se puede recoger"),
    ],
)
def test_an_inquiry_gets_an_answer_that_fits_in_both_languages(description: str, answer: str, respuesta: str) -> None:
    result = call(category="general", task_description=description, call_language="es", language="en")
    assert respuesta in said(result, "HUMAN")
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
    ("description", "sentence"),
    [
        ("Please cancel the table on Friday", "I'd like to cancel the table on Friday."),
        (
            "Ask whether they have vegan dishes, I bring my mother",
            "I'd like to know whether you have vegan dishes, they",
        ),
        ("Ask if their terrace is open to us", "I'd like to know whether your terrace is open to them."),
        ("Ask them about parking", "I'd like to ask about parking."),
        ("Find out when they close", "I'd like to know when you close."),
        ("Do they have size 42?", "I have a question: Do you have size 42?"),
        ("Tell them I'm late", "I'm calling to let you know that they're late."),
        ("Order two loaves of bread", "I'd like to order two loaves of bread."),
        ("Reschedule my visit to Monday", "I'd like to reschedule their visit to Monday."),
    ],
)
def test_a_task_is_put_into_the_words_of_somebody_who_calls_for_the_user(description: str, sentence: str) -> None:
    result = call(category="general", task_description=description, appointment_date=None)
    assert sentence in said(result, "AI")
    assert result.event is None
    assert "Reserved" not in result.highlights


@pytest.mark.parametrize(
    ("description", "sentence"),
    [
        ("Pregunta si abren el domingo", "Quisiera saber si abren el domingo."),
        ("Cancela mi reserva del viernes", "Quisiera cancelar su reserva del viernes."),
        ("Encarga dos panes", "Quisiera encargar dos panes."),
        ("Diles que las llaves están debajo", "Llamo para decirles que las llaves están debajo."),
        ("Diles que llegaré tarde", "«Diles que llegaré tarde»"),
        ("Ask whether they are open", "«Ask whether they are open»"),
    ],
)
def test_a_spanish_task_is_too_unless_its_verbs_or_its_language_would_have_to_change(
    description: str, sentence: str
) -> None:
    result = call(category="general", task_description=description, appointment_date=None, language="es")
    assert sentence in said(result, "AI")


def test_only_an_order_is_asked_for_a_name_and_a_number_to_call_back() -> None:
    asked = said(call(category="general", task_description="Do they sell bread?"), "HUMAN")
    assert "name" not in asked
    assert "number" not in asked
    ordered = said(call(category="general", task_description="Order a loaf of bread"), "HUMAN")
    assert "name" in ordered
    assert "number" in ordered


@pytest.mark.parametrize("description", ["Cancel my table", "Ask whether they are open", "Order some bread"])
def test_a_callee_that_has_another_time_offers_it_only_for_what_has_a_time(description: str) -> None:
    result = call(task_description=description, respondent_phone=COUNTER_OFFER, category="general")
    assert "possible from" not in result.highlights
    assert "offer" not in said(result, "HUMAN")
    assert result.event is None


def test_a_change_with_a_day_is_an_appointment_at_the_new_time() -> None:
    result = call(task_description="Move our table to 7 PM")
    assert "We have changed that" in result.highlights
    assert result.event is not None
    assert isinstance(result.event.start, datetime)
    assert result.event.start.hour == 19


def test_what_a_callee_says_is_the_same_in_every_call_to_its_number() -> None:
    ask: list[dict[str, Any]] = [
        {"task_description": text} for text in ("When do they close?", "Ask when they open", "Find out their hours")
    ]
    answers = {call(category="general", appointment_date=None, **fields).entries[-4].content for fields in ask}
    assert len(answers) == 1
    other = call(category="general", appointment_date=None, respondent_phone="+12125550199", **ask[0])
    assert other.entries[-4].content not in answers


def test_a_callee_remembers_what_was_booked() -> None:
    booked = call().agreement
    assert booked is not None
    cancel: dict[str, Any] = {"category": "general", "appointment_date": None, "task_description": "Cancel my table"}
    canceled = call(agreements=(booked,), **cancel)
    assert "a table for 4 on Friday, November 27 at 7:00 PM" in said(canceled, "HUMAN")
    assert canceled.ends == booked
    again = call(agreements=(replace(booked, is_canceled=True),), **cancel)
    assert "no booking under that name any more" in again.highlights
    assert again.highlights.startswith("Not canceled")


@pytest.mark.parametrize(
    ("instruction", "fields", "done", "ignored"),
    [
        ("Do not agree to a day or time other than the one asked for.", {"respondent_phone": COUNTER_OFFER},
         "They offered Friday, November 27 at 8:30 PM; that was not accepted", "Reserved a table for 4"),
        ("Don't leave a message", {"respondent_phone": VOICEMAIL}, "no message was left", "a message was left"),
        ("Don't give my phone number", {}, "I'm afraid I can't give one", "+1 202-555-0142"),
        ("Ask whether they have parking", {}, "Also asked: “Ask whether they have parking”", ""),
        ("High chair", {}, "Please note: high chair.", "Please note: high chair."),
    ],
)  # fmt: skip
def test_instructions_are_followed_unless_the_scenario_says_that_they_are_not(
    instruction: str, fields: dict[str, Any], done: str, ignored: str
) -> None:
    line = lookup(fields.get("respondent_phone", "")) or Scenario()
    results = [
        call(scenario=line.model_copy(update={"ignores_instructions": ignores}), additional_instructions=[instruction],
             **fields)
        for ignores in (False, True)
    ]  # fmt: skip
    followed, not_followed = (f"{said(result)}\n{result.highlights}" for result in results)
    assert done in followed
    assert ignored in not_followed


def test_an_inquiry_says_its_day_and_its_number_of_people() -> None:
    words = said(call(task_description="Ask whether they have vegan dishes"), "AI")
    assert "Friday, November 27 at 7:00 PM" in words
    assert "for 4" in words


def test_a_general_task_with_a_date_is_an_appointment_of_half_an_hour() -> None:
    event = call(category="general", appointment_date="2026-11-27", task_description="Bring in the car").event
    assert event is not None
    assert isinstance(event.start, datetime)
    assert isinstance(event.end, datetime)
    assert (event.end - event.start).total_seconds() == 1800
    assert "call-1" in event.description
