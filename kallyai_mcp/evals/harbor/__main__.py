"""What runs in the container of a task: its server, its right run, and its grading."""

import json
from pathlib import Path

import anyio
import click

from kallyai_mcp.evals.grading import grade
from kallyai_mcp.evals.harbor.phone import kept_bench, read_task, serve, uses_in
from kallyai_mcp.evals.harbor.places import MESSAGES
from kallyai_mcp.evals.harbor.solve import solve
from kallyai_mcp.evals.task_files import steps_in

_PATH = click.Path(path_type=Path)


@click.group()
def main() -> None:
    """What runs in the container of a task."""


@main.command()
@click.argument("folder", type=_PATH)
def phone(folder: Path) -> None:
    """Serve a client over stdio; FOLDER has the task, and keeps what happens."""
    serve(folder)


@main.command("solve")
@click.argument("steps", type=_PATH)
@click.argument("folder", type=_PATH)
@click.argument("answer", type=_PATH)
def run_solution(steps: Path, folder: Path, answer: Path) -> None:
    """Do the task by its STEPS, and write the ANSWER."""
    script = steps_in(json.loads(steps.read_text(encoding="utf-8")))
    answer.write_text(anyio.run(solve, script, folder), encoding="utf-8")


@main.command("grade")
@click.argument("task", type=_PATH)
@click.argument("folder", type=_PATH)
@click.argument("answer", type=_PATH)
def print_rewards(task: Path, folder: Path, answer: Path) -> None:
    """Print the scores of a run as JSON: `reward` is 1 if all is right, else 0."""
    known = read_task(task)
    answers = [answer.read_text(encoding="utf-8")] if answer.exists() else []
    with kept_bench(folder, known) as bench:
        record = bench.record(known.phrasings[0], uses_in(folder / MESSAGES), answers)
    scores = grade(known.expect, record).scores
    click.echo(json.dumps({"reward": scores.pop("right"), **scores}))


if __name__ == "__main__":
    main(prog_name="python -m kallyai_mcp.evals.harbor")
