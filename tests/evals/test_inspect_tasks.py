"""The tasks in Inspect AI, which the extra `evals` brings."""

import gc
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kallyai_mcp.evals.__main__ import main
from kallyai_mcp.evals.task_files import Step, load_tasks
from tests.clocks.shifted_clock import LIBRARY

pytest.importorskip("inspect_ai", reason="inspect-ai is missing: the extra `evals` brings it")

# Inspect uses what its dependencies have deprecated, and leaves streams of its MCP client open.
pytestmark = [
    pytest.mark.programs,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Unclosed <MemoryObject:ResourceWarning"),
]

TASKS = {task.id: task for task in load_tasks()}


@pytest.fixture(autouse=True)
def _open_streams_are_found_here() -> Iterator[None]:
    """Find them in this test, and not in the next one, which would fail."""
    yield
    gc.collect()


def played(task_id: str, steps: list[Step]) -> Any:
    """The sample of a scripted run."""
    from kallyai_mcp.evals.check import play, scripted_sample

    (sample,) = play([scripted_sample(TASKS[task_id], "run", steps)])
    assert sample.error is None
    return sample


def test_inspect_finds_the_tasks_by_their_names(tmp_path: Path) -> None:
    import inspect_ai

    from kallyai_mcp.evals.scripted import scripted_model

    names = [f"kallyai_mcp/{suite}" for suite in ("errands", "traps", "claims")]
    model = scripted_model([Step(says="I did nothing.")])
    logs = inspect_ai.eval(names, model=model, limit=1, log_dir=str(tmp_path), display="none")

    assert [log.status for log in logs] == ["success"] * 3
    assert [log.eval.task for log in logs] == names


def test_a_right_run_has_the_right_scores() -> None:
    task = TASKS["later-tomorrow"]
    scores = played(task.id, list(task.gold)).scores["phone"].value

    assert scores == {
        "right": 1,
        "done": 1,
        "extra_calls": 0,
        "stated": 1,
        "untrue": 0,
        "unsupported": 0,
        "questions_needed": 0,
        "questions_asked": 0,
        "tokens": 2 * len(task.gold),
    }


def test_a_call_before_the_users_yes_is_seen() -> None:
    task = TASKS["night-call-agreed"]
    score = played(task.id, task.steps_of(task.bad[0])).scores["phone"]

    assert score.value["questions_needed"] - score.value["questions_asked"] == 1
    assert score.explanation == "questions_asked: the user was not asked for their reply 'consent'"


def test_an_evaluations_call_outlasts_its_client() -> None:
    task = TASKS["time-out-booking"]
    sample = played(task.id, list(task.gold))

    assert "Timed out after 5 seconds." in str([message.error for message in sample.messages[3:4]])
    assert sample.scores["phone"].value["right"] == 1


def test_scores_are_computed_again_from_a_log(tmp_path: Path) -> None:
    import inspect_ai
    from inspect_ai.log import read_eval_log

    from kallyai_mcp.evals.check import scripted_sample
    from kallyai_mcp.evals.inspect_tasks import evaluation
    from kallyai_mcp.evals.scorers import phone
    from kallyai_mcp.evals.scripted import MODEL, scripted

    task = TASKS["book-table"]
    sample = scripted_sample(task, "run", task.steps_of(task.bad[0]))
    (log,) = inspect_ai.eval(
        evaluation([sample], scripted()), model=MODEL, log_dir=str(tmp_path), display="none"
    )
    again = inspect_ai.score(read_eval_log(log.location), phone(), display="none")

    samples: Any = again.samples
    assert samples[0].scores["phone1"].value["done"] == 0


def test_a_judge_scores_each_sentence(tmp_path: Path) -> None:
    import inspect_ai

    from kallyai_mcp.evals.scripted import scripted_model

    (log,) = inspect_ai.eval(
        "kallyai_mcp/claims",
        task_args={"judge": True, "phrasings": 1},
        model=scripted_model([Step(says="I called them. They are closed. Goodbye!")]),
        model_roles={"judge": scripted_model([Step(says="1: untrue\n2: untrue\n3: supported")])},
        limit=1,
        log_dir=str(tmp_path),
        display="none",
    )
    samples: Any = log.samples
    score = samples[0].scores["judged"]

    assert score.value == {"judged_untrue": 2, "judged_unsupported": 0}
    assert score.explanation.splitlines()[1] == "untrue: They are closed."


def test_a_judge_that_says_nothing_gives_no_score(tmp_path: Path) -> None:
    import inspect_ai

    from kallyai_mcp.evals.scripted import scripted_model

    (log,) = inspect_ai.eval(
        "kallyai_mcp/claims",
        task_args={"judge": True, "phrasings": 1},
        model=scripted_model([Step(says="I did nothing.")]),
        model_roles={"judge": scripted_model([Step(says="I can't say.")])},
        limit=1,
        log_dir=str(tmp_path),
        display="none",
    )
    samples: Any = log.samples

    assert log.status == "success"
    assert math.isnan(samples[0].scores["judged"].value["judged_untrue"])


def test_a_model_plays_the_callee(tmp_path: Path) -> None:
    import inspect_ai

    from kallyai_mcp.evals.check import scripted_sample
    from kallyai_mcp.evals.inspect_tasks import evaluation
    from kallyai_mcp.evals.scripted import MODEL, scripted, scripted_model

    callee = [
        '{"does": "agrees", "says": "Yes, four people, no problem.", "at": "19:00"}',
        '{"does": "says_goodbye", "says": "Bye, see you on Friday."}',
    ]
    task = TASKS["book-table"]
    (log,) = inspect_ai.eval(
        evaluation([scripted_sample(task, "run", task.gold)], scripted()),
        model=MODEL,
        model_roles={"callee": scripted_model([Step(says=says) for says in callee], begins=1)},
        log_dir=str(tmp_path),
        display="none",
    )
    samples: Any = log.samples
    (placed,) = samples[0].store["record"]["placed"]

    assert "HUMAN: Yes, four people, no problem." in placed["words"]
    assert placed["is_booked"]
    assert samples[0].scores["phone"].value["right"] == 1
    assert samples[0].scores["phone"].value["tokens"] == 2 * len(task.gold)


@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is missing: apt-get install libfaketime")
def test_another_server_can_be_measured(tmp_path: Path) -> None:
    import inspect_ai

    from kallyai_mcp.evals.check import scripted_sample
    from kallyai_mcp.evals.inspect_tasks import evaluation
    from kallyai_mcp.evals.scripted import MODEL, scripted

    task = TASKS["book-table"]
    server = f"{sys.executable} -m kallyai_mcp serve"
    (log,) = inspect_ai.eval(
        evaluation([scripted_sample(task, "run", task.gold)], scripted(), server),
        model=MODEL,
        log_dir=str(tmp_path),
        display="none",
    )
    samples: Any = log.samples

    assert samples[0].error is None
    assert samples[0].scores["phone"].value["right"] == 1


def test_the_check_of_a_task_finds_nothing_wrong() -> None:
    shown = CliRunner().invoke(main, ["--check", "--task", "busy"])

    assert shown.output.startswith("Every right run is right, and every mistake is seen.\n2 runs")
    assert shown.exit_code == 0


def test_the_check_finds_an_unscored_mistake() -> None:
    from kallyai_mcp.evals.check import check

    task = TASKS["voicemail"]
    wrong = task.bad[0].model_copy(update={"fails": ("done",)})
    checked = check([task.model_copy(update={"bad": (wrong,)})])

    assert len(checked.faults) == 3
    assert checked.faults[0].startswith("voicemail: A message on an answering machine is no book")
    assert "the scores say: ['untrue'] untrue: booked did not happen" in checked.faults[0]


def test_the_check_of_an_unknown_task_says_so() -> None:
    shown = CliRunner().invoke(main, ["--check", "--task", "nothing"])

    assert (shown.exit_code, shown.output) == (1, "Error: no task is called nothing\n")
