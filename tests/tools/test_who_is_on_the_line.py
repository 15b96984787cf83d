"""What a result says of who was on the line, by the sandbox's numbers for it, in both languages."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kallyai_mcp.sandbox.app import SandboxApp
from tests.agent import BISTRO, Agent
from tests.conftest import one_generation
from tests.sandbox.manual_clock import ManualClock
from tests.tools.answering import asking
from tests.tools.test_arguments import placed
from tests.tools.test_call_arguments import LIST
from tests.tools.test_said import turns

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

    rows = (await agent.use("list_calls")).data["calls"]

    assert [row["disclosed"] for row in rows] == [False, True]
    assert told.data["disclosure"]["said"] is True
    assert {"quote", "at"} <= told.data["disclosure"].keys()
    assert forgot.data["disclosure"] == {"said": False}


NOT_FOUND = "The transcript has no sentence in which KallyAI says that it is an AI."
INSTRUCTIONS = {
    ("en", "Sample Guest"): (
        "Say in your first sentence that you are an AI assistant calling for Sample Guest."
    ),
    ("en", None): (
        "Say in your first sentence that you are an AI assistant calling for somebody else."
    ),
    ("es", "Sample Guest"): (
        "Di en tu primera frase que eres un asistente de inteligencia artificial que llama de "
        "parte de Sample Guest."
    ),
}


@pytest.mark.parametrize(("language", "name"), INSTRUCTIONS)
async def test_kallyai_is_told_to_disclose_in_its_language(
    agent: Agent, app: SandboxApp, language: str, name: str | None
) -> None:
    await agent.use("make_call", call_to("+12025550100", language) | {"user_name": name})

    assert placed(app)["additional_instructions"][-1] == INSTRUCTIONS[language, name]


async def test_a_list_tells_kallyai_to_disclose(agent: Agent, app: SandboxApp) -> None:
    await agent.use("call_around", LIST)

    assert placed(app)["additional_instructions"][-1] == INSTRUCTIONS["en", None]


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_disclosure_that_is_missing_is_told(agent: Agent, language: str) -> None:
    told = await agent.use("make_call", call_to("+12025550100", language))
    forgot = await agent.use("make_call", call_to("+12025550117", language))

    assert NOT_FOUND not in told.text
    assert NOT_FOUND in forgot.text


async def test_the_setting_leaves_the_instruction_out(tmp_path: Path, clock: ManualClock) -> None:
    answers = {"+": {"status": "success", "call_id": "c-1"}}
    async with asking(tmp_path, clock, answers, DISCLOSURE="off") as (kallyai, agent):
        kallyai.transcript = turns("Hello.", "Yes, at seven.")
        made = await agent.use("make_call", BISTRO)
    [body] = kallyai.bodies

    assert not [text for text in instructions(body) if "AI" in text]
    assert made.data["disclosure"] == {"said": False}
    assert NOT_FOUND not in made.text


def instructions(body: Mapping[str, Any]) -> list[str]:
    return list(body["submission"].get("additional_instructions", ()))


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
@pytest.mark.parametrize("number", ["+12025550119", "+12025550126"])
async def test_a_recording_is_nobody_reached(agent: Agent, language: str, number: str) -> None:
    made = await agent.use("make_call", call_to(number, language))
    first = made.text.splitlines()[0]
    listed = await agent.use("list_calls", status="not_reached")

    assert (made.data["outcome"], made.data["code"]) == ("not_reached", "machine")
    assert made.data["status"] == "success"
    assert first.startswith("Not reached: a recording answered at Italian Bistro")
    assert ': "' in first
    assert [row["status"] for row in listed.data["calls"]] == ["machine"]


async def test_a_recording_is_not_called_again_by_advice(agent: Agent) -> None:
    made = await agent.use("make_call", call_to("+12025550126", "en"))

    assert "make_call" not in made.text
    assert "get_transcript" in made.text


@pytest.mark.parametrize("language", LANGUAGES)
async def test_an_answer_that_is_not_certain_is_marked(agent: Agent, language: str) -> None:
    made = await agent.use("make_call", call_to("+12025550127", language, "Is there parking?"))
    sure = await agent.use("make_call", call_to("+12025550100", language, "Is there parking?"))

    assert [one["hedged"] for one in made.data["answers"]] == [True]
    assert "not certain" in made.text
    assert all("hedged" not in one for one in sure.data["answers"])


OPTED_OUT = {
    "en": "Please do not call us again.",
    "es": "No queremos llamadas así.",
}


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_wish_not_to_be_called_comes_first(agent: Agent, language: str) -> None:
    made = await agent.use("make_call", call_to("+12025550118", language))
    again = await agent.use("get_call", call_id=made.data["call_id"])
    other = await agent.use("make_call", call_to("+12025550100", language))
    first = made.text.splitlines()[0]

    assert first.startswith("They asked not to be called again (0:")
    assert OPTED_OUT[language] in first
    assert OPTED_OUT[language] in made.data["opt_out"]["quote"]
    assert again.text.splitlines()[0] == first
    assert "opt_out" not in other.data


async def test_a_list_tells_who_wants_no_calls(agent: Agent) -> None:
    candidates = [{"respondent_phone": f"+1202555{last}"} for last in ("0118", "0102")]
    made = await agent.use("call_around", LIST | {"candidates": candidates, "until": "all"})

    [told] = [line for line in made.text.splitlines() if "not to be called again" in line]
    assert OPTED_OUT["en"] in told


@pytest.mark.parametrize("number", ["+12025550103", "+12025550114"])
async def test_nothing_is_said_without_a_transcript(agent: Agent, number: str) -> None:
    made = await agent.use("make_call", call_to(number, "en"))

    assert made.data.keys().isdisjoint({"disclosure", "spoke_with"})
