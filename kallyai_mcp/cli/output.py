"""What a command prints: lines, JSON, and errors of one line."""

import json
import locale
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import anyio
import click

from kallyai_mcp.api.errors import KallyAIError

_Result = TypeVar("_Result")

_log, _NO_LOG = logging.getLogger("kallyai_mcp"), logging.NullHandler()
"""A command says in one line what fails; a log of it would be a second one."""


class CommandError(click.ClickException):
    """A command failed; the message is one line that says what to do. `facts` are those of an error for --json."""

    def __init__(self, message: str, facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.facts = dict(facts or {"status": "error", "code": "command_failed", "placed": "no"})


class SetupError(CommandError):
    """A setting or an option is not valid or not safe, or needs another one."""

    exit_code = 2


def say(text: str = "", *, err: bool = False, **style: Any) -> None:
    """Print a text, in color only on a terminal and not when NO_COLOR is set (no-color.org)."""
    color = False if os.environ.get("NO_COLOR") else None
    click.echo(click.style(text, **style) if style else text, err=err, color=color)


_COLORS = {
    "Booked": "green",
    "Scheduled": "cyan",
    "In": "cyan",
    "Answered": "cyan",
    "Left": "cyan",
    "Unknown": "yellow",
}
_COLORS |= {"Not": "yellow", "Refused": "red", "Failed": "red"}
"""The colors of a result by its first word; the cards have the same ones."""


def say_result(text: str) -> None:
    """Print a tool's own text, with its first word in color."""
    first = text.split(":")[0].split(" ")[0].rstrip(".")
    color = _COLORS.get(first)
    say((click.style(first, fg=color, bold=True) if color else first) + text[len(first) :])


def say_json(document: Mapping[str, Any]) -> None:
    """Print a JSON document."""
    say(json.dumps(document, indent=2))


@contextmanager
def errors_as_json(as_json: bool) -> Iterator[None]:
    """In this context, an error is printed as JSON if that was asked for: the tool's structure and the `message`."""
    try:
        yield
    except CommandError as error:
        if not as_json:
            raise
        say_json(error.facts | {"message": error.message})
        raise SystemExit(error.exit_code) from None


def prepare_streams() -> None:
    """Have stdout and stderr print "?" for each character that their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="replace")


def run(work: Callable[[], Awaitable[_Result]]) -> _Result:
    """Run the asynchronous part of a command. It prints nothing that a program reads: a pipe may be closed.

    Raises:
        click.ClickException: `work` raised it, or a `KallyAIError`, or an error of the operating system.
        KeyboardInterrupt: Ctrl-C.
    """
    _log.addHandler(_NO_LOG)

    async def localized() -> _Result:
        follow_locale()
        return await work()

    try:
        return anyio.run(localized)
    except (KallyAIError, OSError, click.ClickException, BaseExceptionGroup) as error:
        first = _first(error)
        if isinstance(first, KallyAIError):
            from kallyai_mcp.tools.results import as_json, error_answer

            raise CommandError(str(first), as_json(error_answer(first, places_calls=False))) from None
        if isinstance(first, OSError):
            raise CommandError(words_of(first)) from None
        if isinstance(first, click.ClickException | KeyboardInterrupt):
            raise first from None
        raise


def follow_locale() -> None:
    """Write the times of this context as the user's locale does: with 24 hours, and with the day before the month."""
    from kallyai_mcp.tools.text.times import DAY_FIRST, HAS_24_HOURS

    before = locale.setlocale(locale.LC_TIME)
    try:
        if locale.setlocale(locale.LC_TIME, "").partition(".")[0] in ("C", "POSIX"):
            return  # no place of a user
        sample = (2001, 11, 25, 13, 0, 0, 6, 329, 0)
        HAS_24_HOURS.set("13" in time.strftime("%X", sample))
        DAY_FIRST.set(time.strftime("%x", sample).startswith("25"))
    except (locale.Error, ValueError):  # the locale is not installed
        return
    finally:
        locale.setlocale(locale.LC_TIME, before)


def words_of(error: OSError) -> str:
    """An error of the operating system in one line, with the file and what to do."""
    where = f"{error.filename}: " if error.filename else ""
    return (
        f"{where}{error.strerror or error}. KALLYAI_HOME names a folder for this program's files; it must be writable."
    )


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
