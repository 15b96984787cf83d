"""What the commands about calls have in common: how they open the service, print, and wait."""

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import IO, Any, NamedTuple

import anyio
import click

from kallyai_mcp.api import errors
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.cli.error_screens import error_screen
from kallyai_mcp.cli.output import (
    CommandError,
    explain,
    json_option,
    run,
    sandbox_option,
    say,
    say_json,
)
from kallyai_mcp.cli.progress import progress_on_stderr, progress_text
from kallyai_mcp.cli.screen import Screen, show_screen
from kallyai_mcp.cli.service import Service
from kallyai_mcp.cli.short_id import short_id
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.facets.live import live_of
from kallyai_mcp.tools.structure.models import Answer
from kallyai_mcp.tools.structure.models import as_json as structure_of
from kallyai_mcp.tools.text.errors import allowed_again, error_text
from kallyai_mcp.tools.tool_errors import error_answer


class Shown(NamedTuple):
    """What a command prints: a screen or lines, the tool's structure for --json, the exit code,
    and, on stderr, a note for a person.
    """

    text: Screen | str
    structure: Answer | dict[str, Any]
    exit_code: int = 0
    note: str = ""


class _CallError(CommandError):
    """An error of KallyAI's or about a call; `message` is the tool's text, for --json."""

    def __init__(self, message: str, facts: Mapping[str, Any], screen: Screen) -> None:
        super().__init__(message, facts)
        self.screen = screen

    def show(self, file: IO[Any] | None = None) -> None:  # noqa: ARG002 - it is click's parameter
        """Print the error for a person, on stderr."""
        show_screen(self.screen, err=True)


def about_calls(work: Callable[..., Awaitable[Shown]]) -> Callable[..., Any]:
    """Make a function a command with the options --sandbox and --json, which prints what the
    function returns.

    With --json, an error is printed as the tool's structure, with the tool's text as `message`.
    """

    @wraps(work)
    def command(settings: Settings, /, *, as_json: bool, **arguments: Any) -> None:
        places_calls = work.__name__ == "call"

        async def opened() -> Shown:
            async with open_app_context(Connection(settings)) as app_context:
                try:
                    return await work(app_context, **arguments)
                except errors.KallyAIError as error:
                    raise _call_error(error, app_context, places_calls=places_calls) from None

        print_result(opened, as_json=as_json)

    return sandbox_option(json_option(click.pass_obj(command)))


def print_result(work: Callable[[], Awaitable[Shown]], *, as_json: bool) -> None:
    """Run the asynchronous part of a command, and print what it returns, or an error."""
    try:
        text, structure, code, note = run(work)
    except CommandError as error:
        if not as_json:
            raise
        text, note = "", ""
        structure = error.facts | {"message": error.message}
        code = error.exit_code
    if as_json:
        say_json(structure if isinstance(structure, dict) else structure_of(structure))
    elif isinstance(text, Screen):
        show_screen(text)
    elif text:
        say(text)
    if note and not as_json:
        explain(note, err=True)
    if code:
        raise SystemExit(code)


def _call_error(
    error: errors.KallyAIError, app_context: AppContext, *, places_calls: bool
) -> CommandError:
    service = Service.of(app_context.settings)
    again = allowed_again(error, None, app_context.reader())
    return _CallError(
        error_text(error, places_calls=places_calls),
        structure_of(error_answer(error, places_calls=places_calls)),
        error_screen(error, service, places_calls=places_calls, again=again),
    )


async def followed(app_context: AppContext, record: CallRecord) -> CallRecord:
    """Wait until a call has ended, and show how long it has lasted.

    A later attempt is not waited for. On Ctrl-C, a call whose request was not sent yet is canceled.
    Any other call goes on, and the command that follows it is printed.
    """
    current = record
    try:
        if current.is_active:
            current = await waited_visibly(app_context, current)
    finally:
        if current.is_active:
            with anyio.CancelScope(shield=True):
                await _stop_waiting(app_context, record)
    return current


async def waited_visibly(app_context: AppContext, record: CallRecord) -> CallRecord:
    """Wait until a call has ended, and show for how long it has gone on."""
    with progress_on_stderr() as progress:
        while record.is_active:
            live = live_of(await app_context.calls.reported(record))
            progress.tell(progress_text(record, app_context.now(), live))
            record = await app_context.calls.wait(record, progress.seconds)
    return record


async def _stop_waiting(app_context: AppContext, record: CallRecord) -> None:
    """Cancel a call that has not left yet, or say how to follow it."""
    if (await app_context.calls.cancel(record)).state is CallState.CANCELED:
        say("Canceled. Nobody was called.", err=True)
        return
    id_ = short_id(record.tracking_id)
    command = Service.of(app_context.settings).command("show", id_, "--follow")
    say(f"The call goes on. To follow it: {command}", err=True)
