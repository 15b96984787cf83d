import re
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
        ("Can a dog come along?", "Yes, certainly", "Sí, por supuesto"),
        ("Tell them the keys are under the mat", "for letting us know", "Gracias por avisar"),
        ("Complain about the noise", "take care of that", "nos ocupamos"),
        ("Ask how long the tour takes", "It takes about", "Son unos"),
        ("Ask when tonight's show begins", "Their answer: At ", "A las "),
        ("See if they can move my table to 8 PM", "We have changed that", "Lo cambiamos"),
        ("Check availability for a massage", "something free", "algo libre"),
        ("Inquire about the warranty", "on our website", "en nuestra página web"),
        ("Ask who the owner is", "on our website", "en nuestra página web"),
        ("Ask for the email address of the owner", "on our website", "en nuestra página web"),
        ("Do they have a loaf of bread left?", "we have it here", "lo tenemos aquí"),
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
            "I'd like to know whether you have vegan dishes, I bring my mother.",
        ),
        ("Ask if their terrace is open to us", "I'd like to know whether your terrace is open to us."),
        ("Ask them about parking", "I'd like to ask about parking."),
        ("Find out when they close", "I'd like to know when you close."),
        ("Do they have size 42?", "I have a question: Do you have size 42?"),
        ("Tell them I'm late", "I'm calling to let you know that I'm late."),
        ("Order two loaves of bread", "I'd like to order two loaves of bread."),
        (
            "I'm late for my reservation, please let them know and ask them to keep the table",
            "I'm late for my reservation. Could you please keep the table?",
        ),
        (
            "We left a charger in room 212. Could you ask if someone found it?",
            "We left a charger in room 212. I'd like to know whether someone found it.",
        ),
        ("Call the vet and ask if I can bring my dog", "I'd like to know whether I can bring my dog."),
        ("The user needs to return their key", "I'd like to return their key."),
        ("I'd like to know if Dr. Lee takes new patients", "I'd like to know whether Dr. Lee takes new patients."),
        ("Do they have the book? If so, have them hold it.", "Do you have the book? If so, could you please hold it?"),
        ("Return the shoes I bought, because they don't fit", "return the shoes I bought, because they don't fit."),
        ("Negotiate a lower price for my contract", "I'd like to negotiate a lower price for my contract."),
        ("Ask them to deliver before noon", "Could you please deliver before noon?"),
        ("Ask for the menu", "I'd like to ask for the menu."),
        ("Check availability on Saturday", "I'd like to ask about availability on Saturday."),
        ("I need to cancel my visit to Dr. Ruiz", "I'd like to cancel my visit to Dr. Ruiz."),
        ("See if they can move our table to 8 PM", "I'd like to know whether you can move our table to 8 PM."),
        (
            "I was there on Monday. My umbrella is black. Check if someone found it.",
            "I was there on Monday. My umbrella is black. I'd like to know whether someone found it.",
        ),
        (
            "Ask if a plumber can come today. If not, ask for tomorrow.",
            "I'd like to know whether a plumber can come today. If not, I'd like to ask for tomorrow.",
        ),
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
        ("Cancela mi reserva del viernes", "Quisiera cancelar mi reserva del viernes."),
        ("Encarga dos panes", "Quisiera encargar dos panes."),
        ("Diles que las llaves están debajo", "Llamo para decirles que las llaves están debajo."),
        ("Diles que llegaré tarde", "Llamo para decirles que llegaré tarde."),
        ("Reclama que mi paquete no ha llegado", "Quisiera reclamar que mi paquete no ha llegado."),
        ("Negociar un precio más bajo", "Quisiera negociar un precio más bajo."),
        ("Diles que me llamen", "Llamo para decirles que me llamen."),
        ("Pregúntales si tengo que ir en ayunas", "Quisiera saber si tengo que ir en ayunas."),
        ("Me gustaría saber si nos guardan la mesa", "Me gustaría saber si nos guardan la mesa."),
        (
            "Avísales de que llegamos tarde y pídeles que nos esperen",
            "Llamo para decirles que llegamos tarde. Les pido",
        ),
        ("Nos dejamos un bolso, pregunta si lo tienen", "Nos dejamos un bolso. Quisiera saber si lo tienen."),
        ("Llama al dentista y pregunta si tienen hueco", "Quisiera saber si tienen hueco."),
        ("Pídeles un presupuesto", "Quisiera pedir un presupuesto."),
        ("Necesito que me devuelvan el dinero", "Necesito que me devuelvan el dinero."),
        ("Mi caldera no funciona; que venga alguien hoy", "Mi caldera no funciona. Les pido que venga alguien hoy."),
        ("Ask whether they are open", "«Ask whether they are open»"),
    ],
)
def test_a_spanish_task_is_too_and_one_in_the_other_language_is_quoted(description: str, sentence: str) -> None:
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


UNDATED: dict[str, Any] = {"appointment_date": None, "appointment_time": None}


@pytest.mark.parametrize(
    ("description", "offer"),
    [
        ("Reschedule my appointment, Thursday does not suit me", "Friday, November 27 at 9:40 AM"),
        ("Move my visit to Dr. Ruiz", "Wednesday, November 25 at 9:40 AM"),
        ("Move my visit to Monday", "9:40 AM"),
    ],
)
def test_a_callee_offers_the_time_that_a_change_does_not_name(description: str, offer: str) -> None:
    result = call(category="clinic", task_description=description, **UNDATED | {"time_preference_text": None})
    assert offer in said(result, "HUMAN")
    assert offer in said(result, "AI")
    assert result.event is not None
    refused = call(category="clinic", task_description=description, additional_instructions=[
        "Do not agree to a day or time other than the one asked for."], appointment_time="12:00",
        appointment_date="2026-12-01", respondent_phone=COUNTER_OFFER)  # fmt: skip
    assert "Then it stays as it is" in said(refused, "HUMAN")


def test_a_change_of_something_else_than_the_time_keeps_the_time() -> None:
    result = call(task_description="Change our reservation from 4 to 6 people", **UNDATED)
    assert "offer" not in said(result, "HUMAN")
    assert "We have changed that as you asked." in said(result, "HUMAN")


@pytest.mark.parametrize(
    ("description", "booked"),
    [
        ("Book a table for 4 on Saturday at 7 PM", "Saturday, November 28 at 7:00 PM"),
        ("Book a table tonight at 9", "Tuesday, November 24 at 9:00 PM"),
        ("Book a table next week", "Tuesday, December 1 at 8:00 PM"),
        ("Reserve a table for March 3 in the evening", "Wednesday, March 3, 2027 at 8:00 PM"),
        ("My parents visit us. Get us a table for tomorrow", "Wednesday, November 25 at 8:00 PM"),
    ],
)
def test_a_booking_is_for_the_day_that_its_description_names(description: str, booked: str) -> None:
    result = call(task_description=description, **UNDATED)
    assert result.event is not None
    assert booked in result.highlights


def test_what_a_callee_says_is_the_same_in_every_call_to_its_number() -> None:
    ask: list[dict[str, Any]] = [
        {"task_description": text} for text in ("When do they close?", "Ask when they open", "Find out their hours")
    ]
    answers = {call(category="general", appointment_date=None, **fields).entries[-4].content for fields in ask}
    assert len(answers) == 1
    other = call(category="general", appointment_date=None, respondent_phone="+12125550199", **ask[0])
    assert other.entries[-4].content not in answers


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ask what an oil change costs", "How much is an oil change?"),
        ("Order a birthday cake", "Find out the price of birthday cakes"),
        ("Pregunta cuánto cuesta una tarta de manzana", "Encarga una tarta de manzana"),
    ],
)
def test_a_price_is_the_same_however_it_is_asked_for(one: str, other: str) -> None:
    language = "es" if "cuánto" in one else "en"
    answers = [call(category="general", task_description=text, language=language).highlights for text in (one, other)]
    prices = {price for answer in answers for price in re.findall(r"\d+[.,]\d\d", answer)}
    assert len(prices) == 1, answers


@pytest.mark.parametrize(
    ("one", "many", "times"),
    [
        ("How much is an oyster?", "How much are two dozen oysters?", 24),
        ("What does a tire cost?", "Find out the price of 4 tires", 4),
        ("Order a pizza for 6 PM", "Order three pizzas for 6 PM", 3),
        ("¿Cuánto cuesta un huevo?", "Pregunta cuánto cuesta media docena de huevos", 6),
    ],
)
def test_several_pieces_cost_as_many_times_as_much(one: str, many: str, times: int) -> None:
    language = "es" if "¿" in one else "en"
    answers = [call(category="general", task_description=text, language=language).highlights for text in (one, many)]
    price, prices = (float(re.findall(r"\$([\d.]+)|([\d.]+)\s?\$", answer)[0][0]) for answer in answers)
    assert prices == times * price


def test_a_call_does_not_contradict_itself_about_a_price() -> None:
    ask: dict[str, Any] = {"additional_instructions": ["Ask how much it costs"]}
    result = call(category="general", task_description="Order a birthday cake", **ask)
    assert len(set(re.findall(r"\$\d+", said(result)))) == 1


def test_each_question_of_a_call_is_answered() -> None:
    result = call(category="general", task_description="What does an oil change cost, and do you have tires left?")
    assert "$" in result.highlights
    assert "we have it here" in result.highlights
    order = call(category="general", task_description="Order two tires. Ask how long it takes.")
    assert said(order, "AI").count("how long it takes") == 1
    assert "Also asked: “Ask how long it takes”. Their answer: It takes about" in order.highlights


@pytest.mark.parametrize(
    ("description", "wanted"),
    [
        ("Book a table by the window", "If possible, by the window."),
        ("Book a table for a birthday", "It's for a birthday."),
        ("Book a quiet table", "I'd like a quiet table."),
        ("Book a table. It is a birthday!", "It is a birthday."),
        ("Dinner for four on Friday, outside", "I'd like dinner, outside."),
        ("Reserva una mesa para un cumpleaños", "Reserva una mesa para un cumpleaños”"),
    ],
)
def test_what_is_wanted_beyond_the_fields_is_said_as_a_person_would(description: str, wanted: str) -> None:
    assert wanted in said(call(task_description=description, party_size=4, additional_instructions=None), "AI")


def test_a_booking_is_confirmed_before_more_is_asked() -> None:
    words = said(call(additional_instructions=["Ask whether they have parking"]), "AI")
    assert re.search(r"(?:right|Exactly)\..* I'd like to know whether you have parking\.", words)


@pytest.mark.parametrize("question", ["Ask whether they have parking.", "Do they have parking?"])
def test_a_booking_with_a_question_is_a_booking(question: str) -> None:
    result = call(task_description=f"Book a table. {question}", additional_instructions=None)
    assert result.event is not None
    assert f"Also asked: “{question.rstrip('.')}”. Their answer: You can park" in result.highlights
    assert said(result, "AI").count("you have parking") == 1


def test_the_name_is_not_asked_for_again_after_it_was_said() -> None:
    fields: dict[str, Any] = {"category": "general", "user_name": "Ada"}
    assert "name" not in said(call(task_description="Cancel the table that is under Ada", **fields), "HUMAN")
    assert "who" not in said(call(task_description="Complain about the noise", **fields), "HUMAN")


def test_a_callee_looks_forward_to_a_booking_but_not_to_a_cancellation() -> None:
    assert "look forward" in said(call(), "HUMAN")
    assert "look forward" not in said(call(task_description="Cancel my table"), "HUMAN")


def test_a_callee_answers_what_the_user_has_booked() -> None:
    booked = call().agreement
    assert booked is not None
    ask: dict[str, Any] = {"appointment_date": None, "task_description": "Confirm my reservation on Friday"}
    assert "Yes, I have it here: a table for 4 on Friday" in said(call(agreements=(booked,), **ask), "HUMAN")
    gone = call(agreements=(replace(booked, is_canceled=True),), **ask)
    assert "it was canceled" in gone.highlights
    assert "everything is in order" in call(**ask).highlights


@pytest.mark.parametrize(
    ("description", "now_booked"),
    [
        ("Move my table from 7 PM to 8:30 PM", "Friday, November 27 at 8:30 PM"),
        ("Move my table to Saturday", "Saturday, November 28 at 7:00 PM"),
        ("Move my table to November 30", "Monday, November 30 at 7:00 PM"),
    ],
)
def test_a_changed_booking_is_remembered_with_its_new_time(description: str, now_booked: str) -> None:
    booked = call().agreement
    assert booked is not None
    undated: dict[str, Any] = {"appointment_date": None, "appointment_time": None, "party_size": None}
    changed = call(agreements=(booked,), task_description=description, **undated)
    assert changed.status == "success"
    assert changed.agreement is not None
    canceled = call(agreements=(changed.agreement,), task_description="Cancel my table", **undated)
    assert f"a table for 4 on {now_booked}" in said(canceled, "HUMAN")
    assert changed.ends == booked


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
        ("Do not give my name", {}, "a customer", "Test Guest"),
        ("Tell them that I bring a dog", {}, "Please note: I bring a dog.", "I bring a dog"),
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


@pytest.mark.parametrize(
    "instruction", ["Be polite", "Speak slowly", "Don't mention the price", "Do not pay in advance"]
)
def test_how_to_speak_is_not_read_to_the_callee(instruction: str) -> None:
    words = said(call(additional_instructions=[instruction]))
    assert instruction.split()[-1] not in words
    assert "Please note" not in words


def test_a_question_comes_with_what_the_callee_should_know() -> None:
    words = said(call(category="general", additional_instructions=["The bicycle is electric"]), "AI")
    assert "Please note: the bicycle is electric." in words


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
