"""Commands beside Inspect's own, which runs the tasks: `inspect eval kallyai_mcp/errands`."""

import time
from pathlib import Path

import anyio
import click

from kallyai_mcp.evals.task_files import by_id, load_tasks


@click.group(invoke_without_command=True)
@click.option("--check", "checks", is_flag=True, help="Play scripted runs of all tasks.")
@click.option("--task", "names", multiple=True, metavar="NAME", help="Check only this task.")
@click.pass_context
def main(context: click.Context, *, checks: bool, names: tuple[str, ...]) -> None:
    """Evaluations of agents that have a phone.

    A model does the tasks with: inspect eval kallyai_mcp/errands --model MODEL
    """
    if checks:
        _check(names)
    elif context.invoked_subcommand is None:
        click.echo(context.get_help())


@main.command()
@click.option("--model", help="A model as Inspect names it, such as openai/gpt-5.")
def agreement(model: str | None) -> None:
    """Compare a judge with people: 40 sentences that were judged by hand.

    Without --model, the judge is the patterns that the scores use.
    """
    from kallyai_mcp.evals.judge import JudgeError, agreement, compare_model, compare_patterns

    if model is None:
        click.echo(agreement(compare_patterns()))
        return
    from inspect_ai.model import get_model

    try:
        compared = anyio.run(compare_model, get_model(model))
    except JudgeError as error:
        raise click.ClickException(str(error)) from None
    click.echo(agreement(compared))


@main.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--wheel",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The package that the containers install, in place of the published one.",
)
def write_harbor_tasks(folder: Path, wheel: Path | None) -> None:
    """Write the tasks into FOLDER in the format of Harbor."""
    from kallyai_mcp.evals.harbor.export import export

    tasks = load_tasks()
    try:
        written = export(tasks, folder, wheel)
    except FileExistsError as error:
        raise click.ClickException(f"{error.filename} exists; choose another folder") from None
    click.echo(
        f"{len(written)} of {len(tasks)} tasks are in {folder}. In the others, the user is asked "
        "something, or a call takes time."
    )


def _check(names: tuple[str, ...]) -> None:
    """Check these tasks and their scores, all of them without any; exits with 1 if one is wrong."""
    from kallyai_mcp.evals.check import check

    began = time.monotonic()
    known = by_id(load_tasks())
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.ClickException(f"no task is called {', '.join(unknown)}")
    checked = check([known[name] for name in names or known])
    for fault in checked.faults:
        click.echo(fault)
    if not checked.faults:
        click.echo("Every right run is right, and every mistake is seen.")
    click.echo(
        f"{checked.runs} runs with {checked.endings} endings, in each phrasing; "
        f"{len(checked.faults)} wrong; {time.monotonic() - began:.0f} s"
    )
    if checked.faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main(prog_name="python -m kallyai_mcp.evals")
