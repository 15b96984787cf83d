"""What a result says of who was on the line, by the sandbox's numbers for it, in both languages."""

import pytest

from tests.agent import BISTRO, Agent
from tests.conftest import one_generation

mode = pytest.fixture(one_generation)

LANGUAGES = ("en", "es")


def call_to(number: str, language: str, *questions: str) -> dict[str, object]:
    """The arguments of a call to a number of the sandbox."""
    asked = {"questions": list(questions)} if questions else {}
    return BISTRO | {"respondent_phone": number, "call_language": language} | asked


@pytest.mark.parametrize("language", LANGUAGES)
async def test_what_the_assistant_disclosed_is_quoted(agent: Agent, language: str) -> None:
    told = await agent.use("make_call", call_to("+12025550100", language))
    forgot = await agent.use("make_call", call_to("+12025550117", language))

    assert told.data["disclosure"]["said"] is True
    assert {"quote", "at"} <= told.data["disclosure"].keys()
    assert forgot.data["disclosure"] == {"said": False}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("number", "who"),
    [("+12025550100", "person"), ("+12025550119", "machine"), ("+12025550126", "machine")],
)
async def test_a_recording_is_told_from_a_person(
    agent: Agent, language: str, number: str, who: str
) -> None:
    made = await agent.use("make_call", call_to(number, language))

    assert made.data["spoke_with"] == who


@pytest.mark.parametrize("language", LANGUAGES)
async def test_an_answer_that_is_not_certain_is_marked(agent: Agent, language: str) -> None:
    made = await agent.use("make_call", call_to("+12025550127", language, "Is there parking?"))
    sure = await agent.use("make_call", call_to("+12025550100", language, "Is there parking?"))

    assert [one["hedged"] for one in made.data["answers"]] == [True]
    assert "not certain" in made.text
    assert all("hedged" not in one for one in sure.data["answers"])


@pytest.mark.parametrize("number", ["+12025550103", "+12025550114"])
async def test_nothing_is_said_without_a_transcript(agent: Agent, number: str) -> None:
    made = await agent.use("make_call", call_to(number, "en"))

    assert made.data.keys().isdisjoint({"disclosure", "spoke_with"})
