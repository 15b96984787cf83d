"""What the commands about calls have in common: how they open the service, print, and wait."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, NamedTuple

import anyio
import click

from kallyai_mcp.api import errors
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.cli.output import (
    CommandError,
    json_option,
    run,
    sandbox_option,
    say,
    say_json,
    say_result,
)
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.structure.models import Answer
from kallyai_mcp.tools.structure.models import as_json as structure_of
from kallyai_mcp.tools.text.errors import error_text
from kallyai_mcp.tools.text.plain import duration, one_line
from kallyai_mcp.tools.tool_errors import error_answer

_STEP_SECONDS = 60.0
"""How long one wait for a call lasts; it is shorter than the pause before another attempt, which is
not waited for.
"""


class Shown(NamedTuple):
    """What a command prints: the tool's text, its structure for --json, and the exit code."""

    text: str
    structure: Answer | dict[str, Any]
    exit_code: int = 0


def about_calls(work: Callable[..., Awaitable[Shown]]) -> Callable[..., Any]:
    """Make a function a command with the options --sandbox and --json, which prints what the
    function returns.

    An error is printed as the tool says it; with --json, its structure, with the text as `message`.
    """

    @wraps(work)
    def command(settings: Settings, /, *, as_json: bool, **arguments: Any) -> None:
        places_calls = work.__name__ == "call"

        async def opened() -> Shown:
            async with open_app_context(Connection(settings)) as app_context:
                try:
                    return await work(app_context, **arguments)
                except errors.KallyAIError as error:
                    facts = structure_of(error_answer(error, places_calls=places_calls))
                    raise CommandError(
                        error_text(error, places_calls=places_calls), facts
                    ) from None

        try:
            text, structure, code = run(opened)
        except CommandError as error:
            if not as_json:
                raise
            text = ""
            structure = error.facts | {"message": error.message}
            code = error.exit_code
        if as_json:
            say_json(structure if isinstance(structure, dict) else structure_of(structure))
        elif text:
            say_result(text)
        if code:
            raise SystemExit(code)

    return sandbox_option(json_option(click.pass_obj(command)))


def sandbox_flag(app_context: AppContext) -> str:
    """What a command that is printed ends with, so that it asks the same service."""
    return " --sandbox" if app_context.settings.sandbox else ""


async def followed(app_context: AppContext, record: Any) -> Any:
    """Wait until a call has ended, and show how long it has lasted.

    A later attempt is not waited for. On Ctrl-C, a call whose request was not sent yet is canceled.
    Any other call goes on, and the command that follows it is printed.
    """
    current = record
    if record.is_active:
        callee = one_line(record.submission.business_name or record.submission.respondent_phone)
        say(f"Calling {callee} …", err=True)
    try:
        while current.is_active:
            current = await app_context.calls.wait(current, _STEP_SECONDS)
            if current.is_active:
                say(f"  {duration(current.elapsed(app_context.now()))} so far", err=True)
    finally:
        if current.is_active:
            with anyio.CancelScope(shield=True):
                if (await app_context.calls.cancel(record)).state is CallState.CANCELED:
                    say("Canceled. Nobody was called.", err=True)
                else:
                    command = (
                        f"kallyai-mcp show {record.tracking_id} --follow{sandbox_flag(app_context)}"
                    )
                    say(f"The call goes on. To follow it: {command}", err=True)
    return current
