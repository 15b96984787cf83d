"""`kallyai-mcp sandbox`: a sandbox over HTTP."""

import errno
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import anyio
import click

from kallyai_mcp.cli.output import (
    CommandError,
    address_options,
    explain,
    explain_beside,
    is_of_the_output,
    need_sandbox,
    say,
    speed_option,
)
from kallyai_mcp.tools.text.plain import one_line

if TYPE_CHECKING:
    from kallyai_mcp.sandbox.simulator.scenario import Line

_USEFUL = ("+12025550100", "+12025550101", "+12025550103")
"""The test numbers that the command prints: one agrees, one offers another time, and one is
busy.
"""


@click.command()
@address_options(default_port=8787)
@click.option(
    "--data", type=click.Path(dir_okay=False, path_type=Path), help="Keep the state in this file."
)
@speed_option(1)
@click.option(
    "--scenarios", type=click.File(encoding="utf-8"), help="A TOML file: what happens on its lines."
)
@click.option("--play", is_flag=True, help="You play the callee on all other lines, on a page.")
def sandbox(
    *, host: str, port: int, data: Path | None, speed: float, scenarios: TextIO | None, play: bool
) -> None:
    """Run a complete KallyAI on this machine, over HTTP, until Ctrl-C."""
    need_sandbox()
    from kallyai_mcp.sandbox.serve import serve
    from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS

    lines = _read_scenarios(scenarios) if scenarios is not None else ()

    useful = [each for each in TEST_NUMBERS if each.number in _USEFUL]

    def ready(url: str) -> None:
        _say_what_runs(url, lines or useful, play=play)
        explain(f"State is in {data}." if data else "State is in memory, gone when it stops.")
        explain(
            f"Calls run at {speed:.10g} times real speed. Ctrl-C stops it. To use it, in another "
            "terminal:"
        )
        _say_how_to_use(url)
        explain("Each call is shown here: a line when it begins, one when it ends.")

    try:
        anyio.run(
            partial(serve, host, port, data, speed, lines, plays=play, ready=ready, report=_report)
        )
    except OSError as error:
        if is_of_the_output(error):
            raise
        if error.filename is None:  # that of a busy address has none
            raise CommandError(cannot_listen(host, port, error)) from None
        raise _unusable(data, error) from None
    except sqlite3.Error as error:
        raise _unusable(data, error) from None


def _say_what_runs(url: str, lines: "Sequence[Line]", *, play: bool) -> None:
    explain(f"KallyAI sandbox at {url} (all test numbers and accounts: {url})")
    for line in lines:
        explain_beside(f"  {line.number}  ", one_line(line.description.in_language("en")))
    if play:
        explain(f"Calls to other numbers wait to be picked up at {url}/_sandbox/play")


def _say_how_to_use(url: str) -> None:
    """Print the commands that sign in at the sandbox."""
    command = "set" if os.name == "nt" else "export"
    say(f"  {command} KALLYAI_API_URL={url}")
    say(f"  {command} KALLYAI_CONFIRM=never")
    say("  kallyai-mcp login")


def _report(line: str) -> None:
    with suppress(OSError):  # a call does not fail because the reader of this list has left
        explain_beside(f"{datetime.now().astimezone():%H:%M:%S}  ", one_line(line))


def _unusable(data: Path | None, error: Exception) -> CommandError:
    return CommandError(f"{data} can't be used as the sandbox's data: {error}.")


def cannot_listen(host: str, port: int, error: OSError) -> str:
    """Why a server can't listen on an address, in one line."""
    if error.errno == errno.EADDRINUSE:
        return f"{host}:{port} is in use. Choose another --port; 0 takes a free one."
    return f"{host}:{port} can't be listened on: {error.strerror or error}."


def _read_scenarios(file: TextIO) -> "tuple[Line, ...]":
    from kallyai_mcp.sandbox.simulator.scenario_file import read_scenarios

    try:
        return read_scenarios(file.read())
    except ValueError as error:  # it is not UTF-8, or what is wrong has a line each
        problems = "\n".join(f"  {one_line(line)}" for line in str(error).splitlines())
        raise CommandError(f"{file.name} is not a valid scenario file:\n{problems}") from None
