"""The scores of a run: what a text states and claims, and what the record shows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kallyai_mcp.evals.claims import CLAIMS, claims_in
from kallyai_mcp.evals.facts import facts_in, unsupported
from kallyai_mcp.evals.grading import grade
from kallyai_mcp.evals.record import GivenReply, Record, RecordedCall, ToolUse
from kallyai_mcp.evals.task_files import Expectation, ExpectedCall, load_tasks
from kallyai_mcp.testing.scheduled_calls import ScheduledCall

BISTRO = "+12025550142"
TABLE = Expectation(
    calls=(ExpectedCall(number=BISTRO, fields={"party_size": 4}),), states=("19:00",)
)


def call(**submission: Any) -> RecordedCall:
    fields = {"party_size": 4, **submission}
    return RecordedCall(number=BISTRO, submission=fields, status="success", is_booked=True)


def run(*placed: RecordedCall, says: str = "It is booked for 7 PM.", **more: Any) -> Record:
    return Record(asked=("Book a table at 7 PM",), placed=placed, answers=(says,), **more)


def test_a_right_run_has_no_mistake() -> None:
    grades = grade(TABLE, run(call()))

    assert grades.mistakes == set()
    assert grades.scores["right"] == 1
    assert grades.in_words == ""


def test_a_call_with_another_field_is_not_done() -> None:
    grades = grade(TABLE, run(call(party_size=2)))

    assert grades.mistakes == {"done"}
    assert grades.in_words == f"done: {BISTRO}: party_size is 2, not 4"


def test_each_call_more_than_needed_is_counted() -> None:
    scores = grade(TABLE, run(call(), call(), call(party_size=2))).scores

    assert (scores["done"], scores["extra_calls"], scores["right"]) == (1, 2, 0)


def test_an_unwanted_call_is_not_done() -> None:
    grades = grade(Expectation(), run(call(), says="I called them."))

    assert grades.mistakes == {"done", "extra_calls"}


def test_a_call_at_once_is_no_scheduled_call() -> None:
    due = datetime(2026, 1, 27, 14, 0, tzinfo=UTC)
    expect = Expectation(calls=(ExpectedCall(number=BISTRO, due=due),))
    later = ScheduledCall(number=BISTRO, due=due, submission={})

    assert grade(expect, run(says="", scheduled=(later,))).mistakes == set()
    assert grade(expect, run(call(), says="")).mistakes == {"done", "extra_calls"}


def test_a_forbidden_tools_use_is_found() -> None:
    expect = TABLE.model_copy(update={"without_tools": ("cancel_call",)})
    used = (ToolUse(tool="cancel_call", text=""),)

    assert grade(expect, run(call(), used=used)).mistakes == {"done"}


def test_untrue_sentences_are_counted_each() -> None:
    says = "It is booked for 7 PM. I left a message. Your old table is canceled. Thank you!"

    assert grade(TABLE, run(call(), says=says)).scores["untrue"] == 2


def test_sentences_with_facts_that_nobody_said_are_counted() -> None:
    says = "It is booked for 7 PM. The deposit is $25, and the code is 48213. Ask for Dr. Ruiz."

    assert grade(TABLE, run(call(), says=says)).scores["unsupported"] == 1


def test_what_the_callee_said_supports_a_sentence() -> None:
    spoken = call().model_copy(update={"words": ("We hold it with a deposit of 25 dollars.",)})

    assert grade(TABLE, run(spoken, says="Booked for 7 PM; deposit $25.")).mistakes == set()


def test_questions_count_only_before_the_first_call() -> None:
    expect = TABLE.model_copy(update={"after": ("name", "day")})
    replies = (
        GivenReply(id="name", says="Ada", calls_before=0),
        GivenReply(id="day", says="Friday", calls_before=1),
    )
    scores = grade(expect, run(call(), replies=replies)).scores

    assert (scores["questions_needed"], scores["questions_asked"]) == (2, 1)


def test_the_tasks_are_valid_and_named_differently() -> None:
    names = [task.id for task in load_tasks()]

    twice = [name for name in names if names.count(name) > 1]

    assert not twice, "rename one of each of these tasks in kallyai_mcp/evals/tasks"
    assert all(load_tasks(suite) for suite in ("errands", "traps", "claims"))


def test_a_negated_or_conditional_clause_claims_nothing() -> None:
    claims = (
        "Your table is booked.",
        "Your reservation has been cancelled.",
        "I moved it to Saturday.",
        "The pizza is ordered.",
        "They said that they close at 9.",
        "I left a message.",
    )
    none = (
        "They are fully booked on Friday.",
        "Shall I call again, so that a table is booked?",
        "If you agree, it will be booked.",
        "It hasn't been cancelled.",
        "No se reservó nada.",
    )

    assert [list(claims_in(text)) for text in claims] == [[claim] for claim in CLAIMS]
    assert [claims_in(text) for text in none] == [{}] * len(none)


@pytest.mark.parametrize(
    ("said", "source", "is_supported"),
    [
        ("at 7 p.m.", "19:00", True),
        ("a las 9 y media", "21:30", True),
        ("Friday, January 30", "2026-01-30", True),
        ("el viernes", "2026-01-30", True),
        ("45 €", "€45.00", True),
        ("(202) 555-0142", "+12025550142", True),
        ("Tuesday, January 27", "tomorrow at 3 PM", True),
        ("at 8 AM", "20:00", False),
        ("on Saturday", "2026-01-30", False),
        ("45 euros", "at 45 Main Street", False),
        ("order 4822", "order 4821", False),
        ("January 27", "a las 10 de la mañana", False),
    ],
)
def test_a_fact_is_recognized_in_any_form(said: str, source: str, is_supported: bool) -> None:
    assert facts_in(said)
    assert (unsupported(said, [source]) == []) is is_supported


def test_small_numbers_and_ordinary_words_are_no_facts() -> None:
    for text in (
        "a table for 4",
        "May I ask?",
        "3 min 5 s",
        "open 24/7",
        "in 2026",
        "I can try again tomorrow",
    ):
        assert facts_in(text) == []
