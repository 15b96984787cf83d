"""The evaluations: what the graders find; `python -m tests.evals --check` shows it for every task
and wrong run.
"""

from pathlib import Path

import pytest

from tests.evals.bench import play
from tests.evals.claims import CLAIMS, claims_in
from tests.evals.facts import facts_in, unsupported
from tests.evals.graders import grade
from tests.evals.task import load_tasks

TASKS = {task.id: task for task in load_tasks()}


async def test_gold_runs_pass_and_a_call_before_the_users_yes_is_found(tmp_path: Path) -> None:
    table, night, later = TASKS["book-table"], TASKS["night-call-agreed"], TASKS["later-tomorrow"]
    right = {
        task.id: await play(task, task.gold, tmp_path / task.id) for task in (table, night, later)
    }
    early = await play(night, night.steps_of(night.bad[0]), tmp_path / "early")

    assert [grade(TASKS[id_].expect, run) for id_, run in right.items()] == [{}, {}, {}]
    assert [f"{call.started_at:%Y-%m-%d %H:%M}" for call in right["book-table"].placed] == [
        "2026-01-26 15:00"
    ]
    assert [call.due.isoformat() for call in right["later-tomorrow"].scheduled] == [
        "2026-01-27T14:00:00+00:00"
    ]
    assert set(grade(night.expect, early)) == {"asked_first"}


def test_a_clause_claims_what_it_says_unless_it_is_negated_asked_or_conditional() -> None:
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
def test_a_fact_is_the_same_however_it_is_written(
    said: str, source: str, is_supported: bool
) -> None:
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
