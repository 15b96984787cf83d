# mypy: disable-error-code="import-not-found, misc, unused-ignore"
# Inspect AI is installed only in an environment of its own; __main__.py runs this file there.
"""Runs the tasks with Inspect AI, in its environment; the arguments are those of `python -m tests.evals`."""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from inspect_ai import eval as inspect_eval

from tests.evals.options import parser
from tests.evals.report import table
from tests.evals.task import BadRun, Step, Task, chosen, load_tasks
from tests.evals.with_inspect import SCRIPTED, evaluation

_SEED = 20260126


def main() -> int:
    """Run what the arguments ask for, and return the exit code."""
    options = parser(__doc__).parse_args()
    try:
        tasks = chosen(load_tasks(), options.tasks)
    except ValueError as error:
        print(f"tests.evals: {error}", file=sys.stderr)
        return 2
    return _check(tasks, options) if options.check else _measure(tasks, options)


def _measure(tasks: Sequence[Task], options: argparse.Namespace) -> int:
    """Let the model do the tasks, and print the table."""
    log = _evaluated(
        evaluation(
            tasks,
            server=options.server,
            phrasings=range(options.phrasings),
            epochs=options.epochs,
            judge=options.judge,
        ),
        options.model,
        log_dir=options.logs,
        max_samples=options.at_once,
        display="plain",
    )
    print(table(log, model=options.model, server=options.server, epochs=options.epochs, judge=options.judge))
    print(f"Inspect's log, with every conversation: {log.location}")
    return 0 if log.status == "success" else 1


def _check(tasks: Sequence[Task], options: argparse.Namespace) -> int:
    """Play the gold and the bad runs; returns 1 if a grader did not find what it should."""
    began = time.monotonic()
    bad = {f"{task.id}/bad {number}": (task, one) for task in tasks for number, one in enumerate(task.bad, 1)}
    scripts: dict[str, Sequence[Step]] = {f"{task.id}/gold": task.gold for task in tasks}
    scripts |= {id_: task.steps_of(one) for id_, (task, one) in bad.items()}
    with tempfile.TemporaryDirectory() as folder:
        log = _evaluated(
            evaluation(tasks, server=options.server, phrasings=[0], scripts=scripts),
            SCRIPTED,
            log_dir=folder,
            max_samples=options.at_once,
            display="none",
        )
        faults = _faults(log, scripts, {id_: one for id_, (_, one) in bad.items()})  # it reads the log's file
    print("\n".join(faults) or "Every gold run passed, and every bad run was failed by its graders.")
    print(f"{len(tasks)} gold runs, {len(bad)} bad runs, {len(faults)} wrong; {time.monotonic() - began:.0f} s")
    return 1 if faults else 0


def _faults(log: Any, scripts: Mapping[str, Sequence[Step]], bad: Mapping[str, BadRun]) -> list[str]:
    samples = {str(sample.id): sample for sample in log.samples or []}
    faults = []
    for id_ in scripts:
        sample = samples.get(id_)
        if sample is None or sample.error is not None or not sample.scores:
            reason = sample.error.message if sample is not None and sample.error is not None else "it was not run"
            faults.append(f"{id_}: {reason.splitlines()[0]}")
            continue
        score = sample.scores["outcome"]
        failed_by = set(score.metadata["wrong"])
        expected = set(bad[id_].fails) if id_ in bad else set()
        if failed_by != expected:
            why = f" ({bad[id_].why})" if id_ in bad else ""
            found = score.explanation or "nothing is wrong"
            faults.append(f"{id_}{why}: should be failed by {sorted(expected) or 'no grader'}, but: {found}")
    return faults


def _evaluated(task: Any, model: str, **options: Any) -> Any:
    (log,) = inspect_eval(
        task, model=model, log_level="error", fail_on_error=False, ctl_server=False, seed=_SEED, **options
    )
    return log


if __name__ == "__main__":
    raise SystemExit(main())
