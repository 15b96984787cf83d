"""`kallyai-mcp sandbox`, and the check that the sandbox is installed."""

import importlib.util
import sqlite3
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from kallyai_mcp.cli.console import say, table
from kallyai_mcp.cli.errors import CommandError, reason_of
from kallyai_mcp.cli.shell import set_variable
from kallyai_mcp.tools.text.plain import one_line

if TYPE_CHECKING:
    from kallyai_mcp.sandbox.simulator.scenario import BilingualText, Line

_USEFUL = ("+12025550100", "+12025550101", "+12025550103")
"""The test numbers that the command prints: one agrees, one offers another time, and one is busy."""


def need_sandbox() -> None:
    """Check that the sandbox's dependencies are installed.

    Raises:
        click.ClickException: They are not installed; the message says how to install them.
    """
    if importlib.util.find_spec("fastapi") is None or importlib.util.find_spec("jinja2") is None:
        raise CommandError(
            'The sandbox is not installed. Install it with: pip install "kallyai-mcp[sandbox]" '
            '(in a clone: pip install ".[sandbox]")'
        )


def run_sandbox(host: str, port: int, data: Path | None, speed: float, scenarios: Path | None, *, play: bool) -> None:
    """Run a sandbox over HTTP until SIGINT or SIGTERM.

    Args:
        host: The address or name to listen on.
        port: The port to listen on; 0 for any free port.
        data: The file that stores the sandbox's state; None stores it in memory.
        speed: The speed of the calls; 1 is that of real calls.
        scenarios: A scenario file, which says what happens on its lines; None for the test numbers alone.
        play: On all other lines, a person or a program plays the callee.

    Raises:
        click.ClickException: The sandbox can't start; the message says why.
    """
    need_sandbox()
    from kallyai_mcp.sandbox.serve import serve
    from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS

    lines = _read_scenarios(scenarios) if scenarios is not None else ()

    def ready(url: str) -> None:
        say(f"KallyAI sandbox at {url} (all test numbers and accounts: {url})")
        useful = lines or [each for each in TEST_NUMBERS if each.number in _USEFUL]
        language = "en"
        for line in table([(each.number, one_line(each.description.in_language(language))) for each in useful]):
            say(f"  {line}")
        if play:
            page = f"{url}/_sandbox/play"
            say(f"Calls to other numbers wait to be picked up at {page}")
        say(f"State is in {data}." if data else "State is in memory, gone when it stops.")
        say(f"Calls run at {speed:.10g} times real speed. Ctrl-C stops it.")
        say("To use it, in another terminal:")
        for name, value in (("KALLYAI_API_URL", url), ("KALLYAI_CONFIRM", "never")):
            say(f"  {set_variable(name, value)}")
        say("  kallyai-mcp login")
        say("Each call is shown here in one line.")

    def report(line: "BilingualText") -> None:
        say(f"{datetime.now().astimezone():%H:%M:%S}  {one_line(line.in_language('en'))}")

    try:
        anyio.run(partial(serve, host, port, data, speed, lines, plays=play, ready=ready, report=report))
    except OSError as error:
        if error.filename is not None:  # the data's folder; a busy address has no file name
            raise CommandError(f"{error.filename} can't be created: {reason_of(error)}") from None
        raise CommandError(f"{host}:{port} can't be listened on: {reason_of(error)}") from None
    except sqlite3.Error as error:
        raise CommandError(f"{data} can't be used as the sandbox's data: {error}") from None


def _read_scenarios(file: Path) -> "tuple[Line, ...]":
    """The lines of a scenario file.

    Raises:
        click.ClickException: The file can't be read, or is not valid; the message has a line for each problem.
    """
    from kallyai_mcp.sandbox.simulator.scenario_file import ScenarioFileError, read_scenarios

    try:
        return read_scenarios(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = reason_of(error) if isinstance(error, OSError) else "it is not UTF-8"
        raise CommandError(f"{file} can't be read: {why}") from None
    except ScenarioFileError as error:
        problems = "\n".join(f"  {one_line(line)}" for line in str(error).splitlines())
        raise CommandError(f"{file} is not a valid scenario file:\n{problems}") from None
