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
from kallyai_mcp.evals.task_files import BadRun, Step, Task

_AT_ONCE = 4
"""How many runs take place at the same time."""

_RIGHT = "right"


@dataclass(frozen=True)
class Ending:
    """A run that was played, with one of its final answers; `bad` is its mistake, None if it is
    right.
    """

    task: Task
    record: Record
    bad: BadRun | None

    @property
    def expected(self) -> set[str]:
        """The scores that must show a mistake."""
        return set() if self.bad is None else set(self.bad.fails)

    @property
    def why(self) -> str:
        """What is wrong with it, for people."""
        return f"It is right: {self.record.final}" if self.bad is None else self.bad.why


@dataclass(frozen=True)
class Checked:
    """What the check has found: how many runs and endings there were, and what is wrong."""

    runs: int
    endings: int
    faults: list[str]


def check(tasks: Sequence[Task]) -> Checked:
    """Play the right run of each task, and each wrong one; needs no model and no network."""
    samples = [sample for task in tasks for sample in _samples(task)]
    played = play(samples)
    by_id = {task.id: task for task in tasks}
    endings = [ending for sample in played for ending in _endings(sample, by_id)]
    faults = [*_errors(played)]
    for ending in endings:
        faults += _faults(ending)
    return Checked(len(samples), len(endings), sorted(faults))


def _samples(task: Task) -> Iterator[Sample]:
    """The runs of a task that are played."""
    yield scripted_sample(task, _RIGHT, task.gold)
    for index, bad in enumerate(task.bad):
        if bad.steps:
            yield scripted_sample(task, str(index), task.steps_of(bad))


def scripted_sample(task: Task, name: str, steps: Sequence[Step]) -> Sample:
    """A run of a task by these steps."""
    script = [step.model_dump(mode="json", exclude_defaults=True) for step in steps]
    return Sample(
        id=f"{task.id}/{name}",
        input=task.phrasings[0],
        metadata=metadata_of(task) | {"steps": script},
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


def _endings(sample: EvalSample, tasks: Mapping[str, Task]) -> Iterator[Ending]:
    """The endings of a played run: its own, and the other final answers of the right run."""
    if sample.error is not None:
        return
    task_id, _, name = str(sample.id).rpartition("/")
    task = tasks[task_id]
    record = Record.model_validate(sample.store[RECORD])
    if name != _RIGHT:
        yield Ending(task, record, task.bad[int(name)])
        return
    yield Ending(task, record, None)
    for answer in task.also_right:
        yield Ending(task, record.with_final(answer), None)
    for bad in task.bad:
        if bad.final is not None:
            yield Ending(task, record.with_final(bad.final), bad)


def _faults(ending: Ending) -> Iterator[str]:
    """Each phrasing of the task with which the scores did not see what they should."""
    task = ending.task
    record = ending.record
    for words in task.phrasings:
        asked = record.model_copy(update={"asked": (record.asked[0], words)})
        grades = grade(task.expect, asked)
        if grades.mistakes != ending.expected:
            yield f"{task.id}: {ending.why} For {words!r}, the scores say: {_in_words(grades)}"


def _in_words(grades: Grades) -> str:
    return f"{sorted(grades.mistakes)} {grades.in_words}" if grades.mistakes else "right"
