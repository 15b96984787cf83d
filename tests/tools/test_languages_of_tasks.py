"""What an agent is told of a task in a language that KallyAI does not speak in the call."""

import pytest

from kallyai_mcp.calls.schedule import AT_ONCE
from kallyai_mcp.cards.texts import Language
from kallyai_mcp.tools.text.consent import preview
from kallyai_mcp.tools.text.consent_words import Words
from kallyai_mcp.tools.text.plain import Reader
from tests.agent import BISTRO, Agent
from tests.calls.ledgers import submission, system_now

NOTE = "{} neither in English nor in Spanish, and may be spoken as written."
FRENCH = "Réserver une table pour quatre personnes, s'il vous plaît"


async def test_a_task_in_another_language_is_named(agent: Agent) -> None:
    french = await agent.use("make_call", BISTRO, task_description=FRENCH, questions=[FRENCH])
    later = await agent.use(
        "make_call", BISTRO, task_description=FRENCH, not_before="2026-01-26T10:00"
    )

    assert NOTE.format("task_description and questions are") in french.text.splitlines()
    assert NOTE.format("task_description is") in later.text.splitlines()


@pytest.mark.parametrize(
    ("language", "row"),
    [
        ("en", "May be spoken as written: the task, the wishes (neither English nor Spanish)"),
        ("es", "Puede decirse tal como está escrito: el encargo, los deseos (ni en inglés ni"),
    ],
)
def test_the_question_names_texts_in_another_language(language: Language, row: str) -> None:
    asked = submission(task_description=FRENCH, additional_instructions=[FRENCH])
    reader = Reader("America/New_York", system_now())

    assert row in preview(asked, (), None, AT_ONCE, reader, Words(language))


async def test_english_and_spanish_tasks_are_not(agent: Agent) -> None:
    english = await agent.use("make_call", BISTRO)
    spanish = await agent.use("make_call", BISTRO, task_description="Reservar una mesa para dos")

    assert "neither" not in english.text
    assert "neither" not in spanish.text
