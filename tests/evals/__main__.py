"""Runs the evaluations: does an agent with these tools do what its user asks, and claim only what
happened?

    uv run python -m tests.evals --check uv run python -m tests.evals --model openai/gpt-5 [--tasks
    NAME ...] [--epochs K] [--server "COMMAND"]

`--check` needs no model: it plays a scripted run of each task that must pass, and wrong runs that
the graders must fail; it exits with 1 when one of them did otherwise. docs/testing-agents.md has
more.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import anyio

from tests.evals.bench import OURS, play
from tests.evals.graders import grade, in_words
from tests.evals.task import PHRASINGS, BadRun, Step, Task, chosen, load_tasks
from tests.programs import ROOT, new_environment, own_environment

INSPECT = ("inspect-ai==0.3.285", "mcp==2.3.0")
PACKAGES = {
    **dict.fromkeys(("openai", "openai-api", "openrouter", "ollama", "vllm"), "openai"),
    "anthropic": "anthropic",
    "google": "google-genai",
    "groq": "groq",
    "mistral": "mistralai",
}
"""The package of a provider of models."""


def main() -> int:
    """Check the graders, or measure a model in an environment with Inspect AI; returns the exit
    code.
    """
    options = parser().parse_args()
    if not options.check and options.model is None:
        print(
            "tests.evals: no model: name one with --model, such as openai/gpt-5; --check needs "
            "none",
            file=sys.stderr,
        )
        return 2
    try:
        tasks = chosen(load_tasks(), options.tasks)
        if options.check:
            return anyio.run(check, tasks, options.server)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            package = PACKAGES.get(options.model.partition("/")[0])
            wanted = [
                "-r",
                str(ROOT / "pyproject.toml"),
                "--extra",
                "sandbox",
                *INSPECT,
                *filter(None, [package]),
            ]
            python = new_environment(Path(folder), *wanted)
            command = [python, "-m", "tests.evals.measure", *sys.argv[1:]]
            return subprocess.run(command, cwd=ROOT, env=own_environment(), check=False).returncode
    except (ValueError, RuntimeError) as error:
        print(f"tests.evals: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """The parser of the arguments, also for `measure`."""
    found = argparse.ArgumentParser(
        prog="python -m tests.evals", description=(__doc__ or "").partition("\n")[0]
    )
    found.add_argument(
        "--check", action="store_true", help="play the scripted runs; needs no model"
    )
    found.add_argument("--model", help="a model as Inspect AI names it, such as openai/gpt-5")
    found.add_argument(
        "--tasks",
        nargs="+",
        default=[],
        metavar="NAME",
        help="ids or themes of tasks (default: all)",
    )
    found.add_argument("--phrasings", type=int, default=PHRASINGS, choices=range(1, PHRASINGS + 1))
    found.add_argument(
        "--epochs", type=int, default=1, metavar="K", help="how often each is run (default: 1)"
    )
    found.add_argument(
        "--server", default=OURS, help="ours, or the command of another server over stdio"
    )
    return found


async def check(tasks: Sequence[Task], server: str) -> int:
    """Play the gold and the bad runs; returns 1 if a grader did not find what it should."""
    began, faults, count = time.monotonic(), list[str](), 0
    limit = anyio.CapacityLimiter(8)

    async def one(
        task: Task,
        steps: Sequence[Step],
        answers: Sequence[str | None],
        bad: Sequence[BadRun | None],
    ) -> None:
        async with limit:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
                run = await play(task, steps, Path(home), server)
        for answer, wrong in zip(answers, bad, strict=True):
            said = run if answer is None else replace(run, answers=(*run.answers[:-1], answer))
            for words in task.phrasings:
                found = grade(task.expect, replace(said, asked=(run.asked[0], words)))
                if set(found) != set(wrong.fails if wrong else ()):
                    why = wrong.why if wrong else f"It is right: {answer or 'the gold run'}"
                    faults.append(
                        f"{task.id}: {why} For {words!r}, the graders say: "
                        f"{in_words(found) or 'right'}"
                    )

    async with anyio.create_task_group() as group:
        for task in tasks:
            finals = [one_bad for one_bad in task.bad if one_bad.final]
            answers = [None, *task.also_right, *(one_bad.final for one_bad in finals)]
            expected = [*[None] * (1 + len(task.also_right)), *finals]
            group.start_soon(one, task, task.gold, answers, expected)
            for bad in task.bad:
                if bad.steps:
                    group.start_soon(one, task, task.steps_of(bad), [None], [bad])
            count += 1 + len(task.also_right) + len(task.bad)
    print(
        "\n".join(sorted(faults))
        or "Every right run passed, and every bad run was failed by its graders."
    )
    print(
        f"{count} runs, each in {PHRASINGS} phrasings; {len(faults)} wrong; "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
