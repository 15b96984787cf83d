"""What commands have in common: their options, and what they print: lines, JSON, and errors of one
line.
"""

import errno
import importlib.util
import json
import locale
import logging
import os
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import IO, Any, TextIO, TypeVar

import anyio
import click

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.cli.wrapping import in_columns, in_lines
from kallyai_mcp.settings import Settings, about
from kallyai_mcp.transports.standard_streams import discard

_Result = TypeVar("_Result")
_Command = TypeVar("_Command", bound=Callable[..., Any])

_NO_LOG = logging.NullHandler()
"""A command says in one line what fails; a log of it would be a second one."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON in place of text.")


def _use_sandbox(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    context.meta["sandbox"] = wanted  # for the completion of a line, which has no settings
    if wanted and isinstance(context.obj, Settings):
        context.obj = replace(context.obj, sandbox=True)


sandbox_option = click.option(
    "--sandbox",
    is_flag=True,
    expose_value=False,
    callback=_use_sandbox,
    help=f"{about('sandbox').words.capitalize()}.",
)
"""The same as the setting `KALLYAI_SANDBOX`."""


def address_options(*, default_port: int) -> Callable[[_Command], _Command]:
    """Give a command the options --host and --port."""
    ports = click.IntRange(0, 65535)
    host = click.option(
        "--host", default="127.0.0.1", show_default=True, help="The address to listen on."
    )
    port = click.option(
        "--port",
        metavar="N",
        type=ports,
        default=default_port,
        show_default=True,
        help="0: any free.",
    )
    return lambda command: host(port(command))


def speed_option(default: float) -> Callable[[_Command], _Command]:
    """Give a command the option --speed, with this default."""
    times = click.FloatRange(min=0, min_open=True)
    words = "Speed of the sandbox's calls; 1 is real."
    return click.option(
        "--speed", metavar="TIMES", type=times, default=default, show_default=True, help=words
    )


class CommandError(click.ClickException):
    """A command failed; the message is one line that says what to do.

    `facts` are those of an error for --json.
    """

    def __init__(self, message: str, facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.facts = dict(facts or {"status": "error", "code": "command_failed", "placed": "no"})

    def show(self, file: IO[Any] | None = None) -> None:  # noqa: ARG002 - it is click's parameter
        """Print the message on stderr."""
        explain(f"Error: {self.format_message()}", err=True)


class SetupError(CommandError):
    """A setting or an option is not valid or not safe, or needs another one."""

    exit_code = 2


HOW_TO_GET_SANDBOX = (
    'The sandbox is not installed. Install it with: pip install "kallyai-mcp[sandbox]" '
    '(in a clone: pip install ".[sandbox]")'
)


def has_sandbox() -> bool:
    """Whether the sandbox's dependencies are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("fastapi", "jinja2"))


def need_sandbox() -> None:
    """Check that the sandbox's dependencies are installed."""
    if not has_sandbox():
        raise CommandError(HOW_TO_GET_SANDBOX)


def say(text: str = "", *, err: bool = False, **style: Any) -> None:
    """Print a text, in color only on a terminal and not when NO_COLOR is set (no-color.org).

    Raises `OSError` if stdout can't be written. What stderr does not take is lost.
    """
    color = False if os.environ.get("NO_COLOR") else None
    styled = click.style(text, **style) if any(style.values()) else text
    try:
        click.echo(styled, err=err, color=color)
    except OSError:
        if not err:
            raise
        discard(2)  # what stderr does not take changes no result


def explain(text: str, *, err: bool = False, **style: Any) -> None:
    """Print sentences for a person as `say` does; on a terminal, lines end between words."""
    if _stream(err=err).isatty():
        text = in_lines(text, shutil.get_terminal_size().columns)
    say(text, err=err, **style)


def explain_beside(label: str, text: str, *, err: bool = False, **style: Any) -> None:
    """Print a sentence beside its label; on a terminal, it goes on below itself."""
    line = f"{label}{text}"
    if _stream(err=err).isatty():
        line = in_columns(label, text, shutil.get_terminal_size().columns)
    say(line, err=err, **style)


def _stream(*, err: bool) -> TextIO:
    return sys.stderr if err else sys.stdout


def say_json(document: Mapping[str, Any]) -> None:
    """Print a JSON document."""
    say(json.dumps(document, indent=2))


def run(work: Callable[[], Awaitable[_Result]]) -> _Result:
    """Run the asynchronous part of a command.

    It prints nothing that a program reads: a pipe may be closed. An error of KallyAI's, or of the
    operating system, is raised as a `CommandError`.
    """
    logging.getLogger().addHandler(_NO_LOG)

    async def localized() -> _Result:
        follow_locale()
        return await work()

    try:
        return anyio.run(localized)
    except (KallyAIError, OSError, click.ClickException, BaseExceptionGroup) as error:
        first = first_of(error)
        if isinstance(first, KallyAIError):
            raise CommandError(str(first)) from None
        if isinstance(first, OSError) and not is_of_the_output(first):
            where = f"{first.filename}: " if first.filename else ""
            raise CommandError(f"{where}{first.strerror or first}. {_WRITABLE}") from None
        raise first from None


def first_of(error: BaseException) -> BaseException:
    """The first exception of a group, or the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


_OF_THE_OUTPUT = (errno.EPIPE, errno.EINVAL, errno.ENOSPC, errno.EBADF)
"""What Python reports when stdout has no reader (on Windows, EINVAL), is full, or is closed."""


def is_of_the_output(error: OSError) -> bool:
    """Whether an error says that the output can't be written."""
    return error.filename is None and error.errno in _OF_THE_OUTPUT


def why_not_written(error: OSError) -> str:
    """Why the output can't be written, in a few words."""
    if error.errno == errno.EBADF:
        return "stdout is closed"
    return f"{error.strerror}"


_WRITABLE = "KALLYAI_HOME names a folder for this program's files; it must be writable."


def follow_locale() -> None:
    """Write the times of this context as the user's locale does: with 24 hours, and with the day
    before the month.
    """
    from kallyai_mcp.tools.text.plain import DAY_FIRST, HAS_24_HOURS

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


def prepare_streams() -> None:
    """Have stdout and stderr print "?" for each character that their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="replace")
