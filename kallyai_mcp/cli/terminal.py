"""Runs the commands about calls for a person at a terminal: opens the app context, and prints errors."""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import click
from pydantic import BaseModel

from kallyai_mcp.api import errors
from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.cli.console import say
from kallyai_mcp.cli.embedded_sandbox import create_sandbox
from kallyai_mcp.cli.errors import CommandError
from kallyai_mcp.cli.ledger import check_shared_database
from kallyai_mcp.cli.sandbox import need_sandbox
from kallyai_mcp.cli.words import Words
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.tool_errors import consequences

_SANDBOX_SPEED = 10.0
"""The speed of the embedded sandbox's calls, the same as with `serve --sandbox`; 1 is that of real calls."""


def connect(settings: Settings, *, sandbox: bool) -> Connection:
    """The connection of a command about calls.

    Args:
        settings: The settings of this process.
        sandbox: Use the embedded sandbox, as with `KALLYAI_SANDBOX`.

    Raises:
        click.ClickException: The sandbox's dependencies are not installed.
    """
    if not (sandbox or settings.sandbox):
        return Connection(settings)
    need_sandbox()
    return Connection(settings, embedded=partial(create_sandbox, settings, _SANDBOX_SPEED))


def run_with_app_context(
    settings: Settings,
    work: Callable[..., Awaitable[int | None]],
    *,
    sandbox: bool,
    as_json: bool,
    places_calls: bool = False,
    **arguments: Any,
) -> None:
    """Run `work` with an app context; print its error, and exit with 1.

    Args:
        settings: The settings of this process.
        work: The command's function. It takes the app context, `as_json`, and `arguments`, and returns the exit code;
            None for 0.
        sandbox: Use the embedded sandbox, as with `KALLYAI_SANDBOX`.
        as_json: Print JSON. An error is printed to stdout as `error`, with `code`, `message`, `retryable`, and `placed`
            (no, maybe).
        places_calls: The command places calls, so the text of an error must say whether one was placed.
        arguments: The command's other arguments.

    Raises:
        click.ClickException: With one line that says what happened and what to do.
        SystemExit: With the exit code, if it is not 0.
    """

    async def run() -> int | None:
        check_shared_database(settings)
        async with open_app_context(connect(settings, sandbox=sandbox), links=False) as app_context:
            return await work(app_context, as_json=as_json, **arguments)

    try:
        exit_code = anyio.run(run)
    except* (errors.KallyAIError, click.ClickException) as group:
        error = _first(group)
        if isinstance(error, errors.KallyAIError):
            placed, retryable = consequences(error, places_calls=places_calls)
            document = {"code": error.code, "message": error.message, "retryable": retryable, "placed": placed}
            shown: click.ClickException = CommandError(Words().error(error, places_calls=places_calls))
        else:
            document = {"code": "not_called", "message": error.message, "retryable": False, "placed": "no"}
            shown = error
        if isinstance(error, click.UsageError) or not as_json:
            raise shown from None
        say(json.dumps({"error": document}, indent=2))
        raise SystemExit(1) from None
    except* KeyboardInterrupt:
        raise SystemExit(130) from None
    if exit_code:
        raise SystemExit(exit_code)


def print_json(answer: BaseModel) -> None:
    """Print the structure of a tool's result."""
    say(answer.model_dump_json(exclude_none=True, indent=2))


def _first(error: BaseException) -> errors.KallyAIError | click.ClickException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, errors.KallyAIError | click.ClickException)  # noqa: S101 - `except*` lets no other pass
    return error
