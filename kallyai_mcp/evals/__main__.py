"""Commands beside Inspect's own, which runs the tasks: `inspect eval kallyai_mcp/errands`."""

import time

import click

from kallyai_mcp.evals.task_files import load_tasks


@click.group(invoke_without_command=True)
@click.option("--check", "checks", is_flag=True, help="Play scripted runs of all tasks.")
@click.pass_context
def main(context: click.Context, *, checks: bool) -> None:
    """Evaluations of agents that have a phone.

    A model does the tasks with: inspect eval kallyai_mcp/errands --model MODEL
    """
    if checks:
        _check()
    elif context.invoked_subcommand is None:
        click.echo(context.get_help())


def _check() -> None:
    """Check the tasks and their scores; exits with 1 if one is wrong."""
    from kallyai_mcp.evals.check import check

    began = time.monotonic()
    checked = check(load_tasks())
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
