# mypy: disable-error-code="import-not-found, misc, unused-ignore"
# Inspect AI is installed only in an environment of its own; __main__.py runs this file there.
"""Runs the tasks with Inspect AI, in its environment; the arguments are those of `python -m tests.evals`."""

import argparse
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from inspect_ai import eval as inspect_eval

from tests.clocks.shifted_clock import LIBRARY
from tests.evals.options import parser
from tests.evals.report import table
from tests.evals.task import PHRASINGS, BadRun, Step, Task, chosen, load_tasks
from tests.evals.with_inspect import JUDGE, SCRIPTED, evaluation, in_words

_SEED = 20260126

_AT_ONCE = 8
"""How many scripted runs are played at the same time; some wait for a time-out."""

_WITH_OTHER_SERVERS = "book-table/gold"
"""The run that is also played with other servers."""


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
            judged=options.judge is not None,
        ),
        options.model,
        log_dir=options.logs,
        max_samples=options.at_once,
        display="plain",
        model_roles={JUDGE: options.judge} if options.judge else None,
    )
    print(table(log, model=options.model, server=options.server, epochs=options.epochs, judge=options.judge))
    print(f"Inspect's log, with every conversation: {log.location}")
    return 0 if log.status == "success" else 1


def _check(tasks: Sequence[Task], options: argparse.Namespace) -> int:
    """Play the gold and the bad runs; returns 1 if a grader did not find what it should."""
    began = time.monotonic()
    scripts: dict[str, Sequence[Step]] = {f"{task.id}/gold": task.gold for task in tasks}
    right = {f"{task.id}/right {n}": answer for task in tasks for n, answer in enumerate(task.also_right, 1)}
    bad = {f"{task.id}/bad {n}": (task, one) for task in tasks for n, one in enumerate(task.bad, 1)}
    scripts |= {id_: task.steps_of(one) for id_, (task, one) in bad.items() if one.steps}
    answers = right | {id_: one.final for id_, (_, one) in bad.items() if one.final}
    faults = _played(tasks, options.server, scripts, answers, {id_: one for id_, (_, one) in bad.items()})
    if options.server == "ours" and not options.tasks:
        for server in _other_servers():
            played = _played(tasks, server, {_WITH_OTHER_SERVERS: scripts[_WITH_OTHER_SERVERS]}, {}, {})
            faults += [f"{fault}, with {server}" for fault in played]
    print("\n".join(faults) or "Every right run passed, and every bad run was failed by its graders.")
    count = f"{len(tasks) + len(right)} right runs, {len(bad)} bad runs, each in {PHRASINGS} phrasings"
    print(f"{count}; {len(faults)} wrong; {time.monotonic() - began:.0f} s")
    return 1 if faults else 0


def _other_servers() -> list[str]:
    """The servers with which one run is played, to see that they can be measured too."""
    if LIBRARY is None:
        print("No run with a server that is a command: it needs libfaketime, for the time of the tasks.")
        return ["bare"]
    return ["bare", shlex.join([sys.executable, "-m", "kallyai_mcp", "serve"])]


def _played(
    tasks: Sequence[Task],
    server: str,
    scripts: Mapping[str, Sequence[Step]],
    answers: Mapping[str, str],
    bad: Mapping[str, BadRun],
) -> list[str]:
    """Play these runs with a server; returns what is wrong.

    Args:
        tasks: The tasks.
        server: As for `evaluation`.
        scripts: The turns of the runs that are played.
        answers: Runs that differ from the gold run of their task in the last answer only.
        bad: Those of both that graders have to fail; all others have to pass.
    """
    others: dict[str, dict[str, str]] = {}
    for id_, answer in answers.items():
        others.setdefault(f"{id_.partition('/')[0]}/gold", {})[id_] = answer
    with tempfile.TemporaryDirectory() as folder:
        log = _evaluated(
            evaluation(tasks, server=server, phrasings=[0], scripts=scripts, other_answers=others),
            SCRIPTED,
            log_dir=folder,
            max_samples=_AT_ONCE,
            display="none",
        )
        samples = {str(sample.id): sample for sample in log.samples or []}  # read from the log's file
    faults: list[str] = []
    found: dict[str, Any] = {}
    for id_ in scripts:
        sample = samples.get(id_)
        if sample is None or sample.error is not None or not sample.scores:
            reason = sample.error.message if sample is not None and sample.error is not None else "it was not run"
            faults.append(f"{id_}: {reason.splitlines()[0]}")
            continue
        found |= sample.scores["outcome"].metadata["by_phrasing"]
    for name, wrong in found.items():
        is_bad = bad.get(name.partition(",")[0])
        expected = set(is_bad.fails) if is_bad else set()
        if set(wrong) != expected:
            why = f" ({is_bad.why})" if is_bad else ""
            what = in_words(wrong) or "nothing is wrong"
            faults.append(f"{name}{why}: should be failed by {sorted(expected) or 'no grader'}, but: {what}")
    return faults


def _evaluated(task: Any, model: str, **options: Any) -> Any:
    (log,) = inspect_eval(
        task, model=model, log_level="error", fail_on_error=False, ctl_server=False, seed=_SEED, **options
    )
    return log


if __name__ == "__main__":
    raise SystemExit(main())
