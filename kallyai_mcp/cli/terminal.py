"""What the commands about calls share: the app context of a person at a terminal, and how errors are printed."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import click

from kallyai_mcp.api import errors
from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.cli.console import say
from kallyai_mcp.cli.embedded_sandbox import create_sandbox
from kallyai_mcp.cli.ledger import check_shared_database
from kallyai_mcp.cli.sandbox import need_sandbox
from kallyai_mcp.cli.words import Words
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.tool_errors import consequences

_SANDBOX_SPEED = 10.0
"""How many times faster than real the embedded sandbox's calls are, as with `serve --sandbox`."""


@asynccontextmanager
async def open_terminal_context(settings: Settings, *, sandbox: bool) -> AsyncIterator[AppContext]:
    """Open the app context for one command.

    Args:
        settings: Which KallyAI, whose account, and which ledger.
        sandbox: Use the embedded sandbox, as the setting `sandbox` does.

    Raises:
        click.ClickException: The sandbox is not installed, or the settings of the shared database are not complete.
    """
    check_shared_database(settings)
    embedded = sandbox or settings.sandbox
    if embedded:
        need_sandbox()
    create = partial(create_sandbox, settings, _SANDBOX_SPEED) if embedded else None
    async with open_app_context(Connection(settings, embedded=create), links=False) as app_context:
        yield app_context


@contextmanager
def report_errors(words: Words, *, as_json: bool, places_calls: bool = False) -> Iterator[None]:
    """Print what goes wrong within, and exit with 1.

    Args:
        words: In which language.
        as_json: Print `error` to stdout, with `code`, `message`, `retryable`, and `placed` (no, maybe).
        places_calls: The command places calls, so the text must say whether one was placed.

    Raises:
        click.ClickException: With one line that says what happened and what to do.
        SystemExit: With 1, after the JSON.
    """
    try:
        yield
    except* (errors.KallyAIError, click.ClickException) as group:
        error = _first(group)
        if isinstance(error, click.UsageError) or not as_json:
            raise _shown(error, words, places_calls=places_calls) from None
        if isinstance(error, errors.KallyAIError):
            placed, retryable = consequences(error, places_calls=places_calls)
            document = {"code": error.code, "message": error.message, "retryable": retryable, "placed": placed}
        else:
            document = {"code": "not_called", "message": error.message, "retryable": False, "placed": "no"}
        say(json.dumps({"error": document}, indent=2))
        raise SystemExit(1) from None
    except* KeyboardInterrupt:
        raise SystemExit(130) from None


def _first(error: BaseException) -> errors.KallyAIError | click.ClickException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, errors.KallyAIError | click.ClickException)  # noqa: S101 - `except*` lets no other pass
    return error


def _shown(
    error: errors.KallyAIError | click.ClickException, words: Words, *, places_calls: bool
) -> click.ClickException:
    if isinstance(error, click.ClickException):
        return error
    return click.ClickException(words.error(error, places_calls=places_calls))
