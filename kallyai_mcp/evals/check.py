"""The check of the tasks and their scores, without a model: every right run is right by its scores,
and every mistake is seen by the scores that should see it.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import inspect_ai
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalSample

from kallyai_mcp.evals.grading import Grades, grade
from kallyai_mcp.evals.inspect_tasks import evaluation, metadata_of
from kallyai_mcp.evals.record import Record
from kallyai_mcp.evals.runs import RECORD
from kallyai_mcp.evals.scripted import MODEL, scripted
from kallyai_mcp.evals.task_files import BadRun, Mistake, Step, Task, by_id, script_of

_AT_ONCE = 4
"""How many runs take place at the same time."""

_RIGHT = "right"


@dataclass(frozen=True)
class Ending:
    """A run that was played, with one of its final answers.

    The scores in `fails` must show a mistake. `why` says, for people, what is wrong with it, or
    that it is right.
    """

    task: Task
    record: Record
    fails: frozenset[Mistake]
    why: str

    @classmethod
    def right(cls, task: Task, record: Record) -> "Ending":
        """One without a mistake."""
        return cls(task, record, frozenset(), f"It is right: {record.final}")

    @classmethod
    def wrong(cls, task: Task, record: Record, bad: BadRun) -> "Ending":
        """One with the mistake of a bad run."""
        return cls(task, record, frozenset(bad.fails), bad.why)


@dataclass(frozen=True)
class Checked:
    """What the check has found: how many runs and endings there were, and what is wrong."""

    runs: int
    endings: int
    faults: list[str]


def check(tasks: Sequence[Task]) -> Checked:
    """Play the right run of each task, and each wrong one; needs no model and no network."""
    samples = list(_samples(tasks))
    played = play(samples)
    endings = list(_endings(played, by_id(tasks)))
    faults = list(_errors(played))
    for ending in endings:
        faults += _faults(ending)
    return Checked(len(samples), len(endings), sorted(faults))


def _samples(tasks: Sequence[Task]) -> Iterator[Sample]:
    """The runs of the tasks that are played."""
    for task in tasks:
        yield scripted_sample(task, _RIGHT, task.gold)
        for index, bad in enumerate(task.bad):
            if bad.steps:
                yield scripted_sample(task, str(index), task.steps_of(bad))


def scripted_sample(task: Task, name: str, steps: Sequence[Step]) -> Sample:
    """A run of a task by these steps."""
    return Sample(
        id=f"{task.id}/{name}",
        input=task.phrasings[0],
        metadata=metadata_of(task) | {"steps": script_of(steps)},
    )


def play(samples: Sequence[Sample]) -> list[EvalSample]:
    """The samples after their runs; raises `RuntimeError` if the evaluation itself failed."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as logs:
        (log,) = inspect_ai.eval(
            evaluation(samples, scripted()),
            model=MODEL,
            log_dir=logs,
            max_samples=_AT_ONCE,
            display="none",
            log_level="warning",
        )
        if log.error is not None:
            raise RuntimeError(log.error.traceback)
        return list(log.samples or ())  # they are read from the folder


def _errors(samples: Sequence[EvalSample]) -> Iterator[str]:
    for sample in samples:
        if sample.error is not None:
            yield f"{sample.id}: {sample.error.traceback}"


def _endings(samples: Sequence[EvalSample], tasks: Mapping[str, Task]) -> Iterator[Ending]:
    """The endings of the runs that were played to their end."""
    for sample in samples:
        if sample.error is None:
            yield from _endings_of(sample, tasks)


def _endings_of(sample: EvalSample, tasks: Mapping[str, Task]) -> Iterator[Ending]:
    """The endings of a played run: its own, and the other final answers of the right run."""
    task_id, _, name = str(sample.id).rpartition("/")
    task = tasks[task_id]
    record = Record.model_validate(sample.store[RECORD])
    if name != _RIGHT:
        yield Ending.wrong(task, record, task.bad[int(name)])
        return
    yield Ending.right(task, record)
    for answer in task.also_right:
        yield Ending.right(task, record.with_final(answer))
    for bad in task.bad:
        if bad.final is not None:
            yield Ending.wrong(task, record.with_final(bad.final), bad)


def _faults(ending: Ending) -> Iterator[str]:
    """Each phrasing of the task with which the scores did not see what they should."""
    task = ending.task
    record = ending.record
    for words in task.phrasings:
        asked = record.model_copy(update={"asked": (record.asked[0], words)})
        grades = grade(task.expect, asked)
        if grades.mistakes != ending.fails:
            yield f"{task.id}: {ending.why} For {words!r}, the scores say: {_in_words(grades)}"


def _in_words(grades: Grades) -> str:
    return f"{sorted(grades.mistakes)} {grades.in_words}" if grades.mistakes else "right"
