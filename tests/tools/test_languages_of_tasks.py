"""What an agent is told of a task in a language that KallyAI does not speak in the call."""

from tests.agent import BISTRO, Agent

NOTE = "{} neither in English nor in Spanish, and may be spoken as written."
FRENCH = "Réserver une table pour quatre personnes, s'il vous plaît"


async def test_a_task_in_another_language_is_named(agent: Agent) -> None:
    french = await agent.use("make_call", BISTRO, task_description=FRENCH, questions=[FRENCH])
    later = await agent.use(
        "make_call", BISTRO, task_description=FRENCH, not_before="2026-01-26T10:00"
    )

    assert NOTE.format("task_description and questions are") in french.text.splitlines()
    assert NOTE.format("task_description is") in later.text.splitlines()


async def test_english_and_spanish_tasks_are_not(agent: Agent) -> None:
    english = await agent.use("make_call", BISTRO)
    spanish = await agent.use("make_call", BISTRO, task_description="Reservar una mesa para dos")

    assert "neither" not in english.text
    assert "neither" not in spanish.text
