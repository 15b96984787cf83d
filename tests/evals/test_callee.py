"""The callee that a model plays: what it knows, and what it does."""

from typing import Any

import anyio
import pytest

pytest.importorskip("inspect_ai", reason="inspect-ai is missing: the extra `evals` brings it")

from kallyai_mcp.evals.callee import Callee, facts_of, is_playable, turn_in
from kallyai_mcp.evals.scripted import scripted_model
from kallyai_mcp.evals.task_files import Step, load_tasks
from kallyai_mcp.sandbox.simulator.scenario import Line

# Inspect uses what its dependencies have deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

NUMBER = "+12025550142"
CALL = {
    "number": NUMBER,
    "language": "en",
    "said": [
        {"speaker": "HUMAN", "content": "Italian Bistro, hello."},
        {"speaker": "AI", "content": "A table for four, please."},
    ],
}


@pytest.mark.parametrize(
    ("line", "fact"),
    [
        ({}, "You agree to what is asked."),
        ({"does": "agrees", "at": "20:30"}, "Only 20:30 is free. Offer it, and agree to no other"),
        ({"does": "answers", "answer": "At nine."}, 'Your answer to what is asked: "At nine."'),
        ({"does": "declines"}, "You decline what is asked"),
        ({"turns": ["Please hold."]}, 'Say this soon: "Please hold."'),
    ],
)
def test_a_callee_knows_what_its_scenario_says(line: dict[str, Any], fact: str) -> None:
    (first, *_) = facts_of(Line.model_validate({"number": NUMBER, **line}), "en")

    assert first.startswith(fact)


@pytest.mark.parametrize(
    "line",
    [
        {"does": "is_busy"},
        {"does": "goes_to_voicemail"},
        {"refusal": "blocked_number"},
        {"loses_the_answer": True},
        {"does": "declines", "then": [{"does": "agrees"}]},
    ],
)
def test_a_model_plays_only_conversations(line: dict[str, Any]) -> None:
    assert not is_playable(Line.model_validate({"number": NUMBER, **line}))


def test_a_turn_is_read_from_json_among_words() -> None:
    turn = turn_in('Sure: {"does": "offers", "says": "At half past?", "at": "20:30", "on": null}')

    assert (turn.does, turn.words("en"), f"{turn.at:%H:%M}") == (
        "offers",
        "At half past?",
        "20:30",
    )


@pytest.mark.parametrize("answer", ["Yes.", "{", '{"does": "sings", "says": "La"}', "{}"])
def test_an_answer_without_a_turn_is_not_valid(answer: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|does|says|Expecting"):
        turn_in(answer)


def test_a_callee_who_is_unreadable_twice_hangs_up() -> None:
    task = load_tasks()[0]
    callee = Callee(task, scripted_model([Step(says="Hm?"), Step(says="Hm?")], begins=1))

    assert anyio.run(callee.turn, CALL).does == "hangs_up"
    assert callee.tokens == 4


def test_a_callee_may_try_a_second_time() -> None:
    task = load_tasks()[0]
    answers = [Step(says="Hm?"), Step(says='{"does": "declines", "says": "We are full."}')]
    callee = Callee(task, scripted_model(answers, begins=1))

    assert anyio.run(callee.turn, CALL).does == "declines"
