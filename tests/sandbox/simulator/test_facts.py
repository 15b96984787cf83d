"""What a callee knows, and how it answers questions."""

from typing import Any

import pytest

from kallyai_mcp.sandbox.simulator.facts import answer_to
from tests.sandbox.simulator.calls import UNDATED, call, said

UNKNOWN = "I'm sorry, I don't know that."


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When do you close today?", "We close at 10 PM tonight."),
        ("¿A qué hora cierran?", "We close at 10 PM tonight."),
        ("Is there parking?", "Yes, behind the building."),
        ("How much is the set menu?", "It's 25 per person."),
        ("Are DOGS allowed?", "Dogs are welcome on the terrace."),
        ("Could we sit by the window?", "Yes, we have tables by the window."),
        ("Where can I park, and do you take cards for the parking?", "Yes, behind the building."),
        ("Do you sell closets?", None),
        ("Who is the chef?", None),
    ],
)
def test_a_question_is_answered_by_its_words(question: str, answer: str | None) -> None:
    assert answer_to(question, {}, "en") == answer


@pytest.mark.parametrize(
    ("language", "task", "answer"),
    [
        ("en", "Ask when they close today", "We close at 10 PM tonight."),
        ("en", "Is there parking?", "Yes, behind the building."),
        ("en", "Ask who the chef is", UNKNOWN),
        ("en", "Who is the chef?", UNKNOWN),
        ("es", "Pregunta a qué hora cierran hoy", "Hoy cerramos a las diez de la noche."),
        ("es", "¿Hay aparcamiento?", "Sí, detrás del edificio."),
        ("es", "¿Quién cocina?", "Lo siento, eso no lo sé."),
    ],
)
def test_the_default_callee_answers_a_task(language: str, task: str, answer: str) -> None:
    result = call(**UNDATED, task_description=task, language=language, task_category="general")

    assert answer in said(result, "HUMAN").splitlines()
    assert answer in str(result.report.highlights)
    assert result.booking is None


@pytest.mark.parametrize(
    ("knows", "question", "answer"),
    [
        ({"hours": "At nine."}, "When do you close?", "At nine."),
        ({"hours": {"en": "At nine.", "es": "A las nueve."}}, "When do you close?", "At nine."),
        ({"parking": None}, "Is there parking?", UNKNOWN),
        ({"happy_hour": "From 5 to 7."}, "Is there a happy hour?", "From 5 to 7."),
        ({"hours": "At nine."}, "Is there parking?", "Yes, behind the building."),
        ({"hours": "At nine.", "price": "30."}, "How much is it?", "30."),
    ],
)
def test_a_scenario_sets_what_its_callee_knows(
    knows: dict[str, Any], question: str, answer: str
) -> None:
    result = call({"knows": knows}, **UNDATED, task_description=question)

    assert answer in said(result, "HUMAN").splitlines()


def test_a_booking_gets_its_questions_answered() -> None:
    result = call(additional_instructions=["Is there parking?", "Who is the chef?"])

    assert result.booking is not None
    assert "Yes, behind the building." in str(result.report.highlights)
    assert UNKNOWN in str(result.report.highlights)


def test_a_task_that_tells_something_is_no_question() -> None:
    result = call(**UNDATED, task_description="Tell them that I park behind the building")

    assert "I have made a note of it" in said(result)
