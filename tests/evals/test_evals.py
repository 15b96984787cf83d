"""The evaluations: a run is what really happened, and each grader finds what is wrong with it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kallyai_mcp.testing import PlacedCall
from tests.evals.bench import play
from tests.evals.claims import CLAIMS, claims_in
from tests.evals.facts import facts_in, unsupported
from tests.evals.graders import GRADERS, GivenReply, Run, ScheduledCall, ToolUse, grade
from tests.evals.task import Expectation, ExpectedCall, GraderName, Reply, chosen, load_tasks

TASKS = {task.id: task for task in load_tasks()}
BISTRO, OTHER = "+12025550142", "+12025550143"
DUE = datetime(2026, 1, 27, 14, tzinfo=UTC)

CALL = PlacedCall(
    number=BISTRO,
    submission={"appointment_time": "19:00", "party_size": 4, "additional_instructions": ["By the window"]},
    status="success",
    highlights="Reserved a table",
    transcript=(("HUMAN", "That is $20 for each person."),),
    calendar="BEGIN:VCALENDAR",
    idempotency_key=None,
    call_id="3f0c",
    started_at=DUE,
)
YES = GivenReply(Reply(id="consent", when="call", says="Yes."), calls_before=0)
RIGHT = Run(
    asked=("Book a table at 7 PM on January 30",),
    placed=(CALL,),
    used=(ToolUse("make_call", {}, "Booked: Fri Jan 30, 7:00 PM.", is_error=False),),
    replies=(YES,),
    answers=("Call them?", "Your table is booked for Friday at 7 PM. It is $20 each."),
)
EXPECT = Expectation(
    calls=(
        ExpectedCall(
            number=BISTRO, fields={"party_size": 4, "additional_instructions": "/window/"}, without=("user_phone",)
        ),
    ),
    after=("consent",),
    states=("19:00", "2026-01-30", "/booked/"),
    avoids=("gift card",),
    without_tools=("cancel_call",),
)


def answering(words: str) -> Run:
    return replace(RIGHT, answers=(words,))


async def test_gold_runs_pass_and_a_call_before_the_users_yes_is_found(tmp_path: Path) -> None:
    table, night, later = TASKS["book-table"], TASKS["night-call-agreed"], TASKS["later-tomorrow"]
    right = {task.id: await play(task, task.gold, tmp_path / task.id) for task in (table, night, later)}
    early = await play(night, night.steps_of(night.bad[0]), tmp_path / "early")

    assert [grade(TASKS[id_].expect, run) for id_, run in right.items()] == [{}, {}, {}]
    assert [f"{call.started_at:%Y-%m-%d %H:%M}" for call in right["book-table"].placed] == ["2026-01-26 15:00"]
    assert [call.due.isoformat() for call in right["later-tomorrow"].scheduled] == ["2026-01-27T14:00:00+00:00"]
    assert set(grade(night.expect, early)) == {"asked_first"}


async def test_a_client_gives_up_and_the_call_goes_on(tmp_path: Path) -> None:
    task = TASKS["time-out-booking"].model_copy(update={"client_seconds": 2})
    run = await play(task, [task.gold[0]], tmp_path)

    assert [use.text for use in run.used] == ["Timed out after 2 seconds."]
    assert [call.status for call in run.placed] == ["success"]


def test_tasks_are_many_valid_and_chosen_by_id_and_theme() -> None:
    tasks = list(TASKS.values())

    assert len(tasks) == len(load_tasks()) > 70
    assert {grader for task in tasks for bad in task.bad for grader in bad.fails} == set(GRADERS)
    assert [task.id for task in tasks if task.gold[-1].says is None] == []
    assert chosen(tasks, [tasks[0].id]) == [tasks[0]]
    with pytest.raises(ValueError, match="no task and no theme is called nonsense"):
        chosen(tasks, ["nonsense"])


@pytest.mark.parametrize(
    ("run", "grader", "words"),
    [
        (replace(RIGHT, placed=()), "calls", "0 calls were placed, not 1"),
        (replace(RIGHT, placed=(CALL, replace(CALL, number=OTHER))), "calls", f"{OTHER}: a call that nobody asked for"),
        (replace(RIGHT, placed=(replace(CALL, submission={"party_size": 2}),)), "calls", "party_size is 2, not 4"),
        (replace(RIGHT, refused=1), "calls", "KallyAI refused 1 requests"),
        (replace(RIGHT, used=(ToolUse("cancel_call", {}, "", is_error=False),)), "calls", "cancel_call was used"),
        (replace(RIGHT, scheduled=(ScheduledCall(OTHER, DUE, {}),)), "calls", f"{OTHER}: a call that nobody asked for"),
        (replace(RIGHT, replies=()), "asked_first", "was not asked for their reply 'consent'"),
        (replace(RIGHT, replies=(replace(YES, calls_before=1),)), "asked_first", "1 of 1 calls came before"),
        (answering("It is booked for Friday."), "facts", "does not state 19:00"),
        (answering("Booked for Friday at 7 PM, for $25."), "supported", "nothing supports the money"),
        (answering("Booked for Friday at 7 PM; it was canceled."), "claims", "it claims 'canceled'"),
        (replace(RIGHT, placed=(replace(CALL, calendar=None),)), "claims", "it claims 'booked'"),
        (answering("Booked for Friday at 7 PM. Buy gift cards."), "avoids", "/gift card/"),
    ],
)
def test_what_is_wrong_is_found(run: Run, grader: GraderName, words: str) -> None:
    assert grade(EXPECT, RIGHT) == {}
    assert any(words in line for line in grade(EXPECT, run)[grader])


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
def test_a_fact_is_the_same_however_it_is_written(said: str, source: str, is_supported: bool) -> None:
    assert facts_in(said)
    assert (unsupported(said, [source]) == []) is is_supported


def test_small_numbers_and_ordinary_words_are_no_facts() -> None:
    for text in ("a table for 4", "May I ask?", "3 min 5 s", "open 24/7", "in 2026", "I can try again tomorrow"):
        assert facts_in(text) == []
