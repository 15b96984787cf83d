"""`kallyai-mcp serve` over stdio."""

import gc
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module

import anyio

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.cli.output import (
    explain,
    explain_beside,
    first_of,
    is_of_the_output,
    say,
    why_not_written,
)
from kallyai_mcp.logs.setup import configure, flush
from kallyai_mcp.server.build import build_server
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.transports.first_answers import FirstAnswers
from kallyai_mcp.transports.standard_streams import allow_open_files, exit_on_signals, exit_within
from kallyai_mcp.transports.stdio import serve_stdio

_CLOSE_SECONDS = 1.5
"""How many seconds closing may take after the client has left.

A renewal of the sign-in has this time to end.
"""

_IDLE_SECONDS = 1.0
"""After so many seconds a client has the list of tools, and its user has not asked for a call
yet.
"""

_LATE = ("kallyai_mcp.api.client", "httpcore2", "phonenumbers", "filelock")
"""Modules that tools need, and the list of tools does not."""


def serve_over_stdio(
    settings: Settings, *, speed: float = 10, first_answers: FirstAnswers | None = None
) -> None:
    """Serve one client on stdin and stdout until it leaves.

    `first_answers` has answered the client's first requests until now; None if nothing was answered
    yet.
    """

    @asynccontextmanager
    async def app_context() -> AsyncIterator[AppContext]:
        async with open_app_context(connection) as opened, anyio.create_task_group() as tasks:
            tasks.start_soon(_prepare, connection)
            yield opened
            tasks.cancel_scope.cancel()
            exit_within(_CLOSE_SECONDS)

    exit_on_signals(flush)
    connection = Connection(settings, speed=speed)
    if sys.stdin is not None and sys.stdin.isatty():
        _say_to_a_person()
    configure(settings.log_level, settings.log_format)
    server = build_server(
        app_context,
        read_only=settings.read_only,
        sandbox=settings.calls_nobody,
        wait_seconds=settings.wait_seconds,
    )
    allow_open_files()
    gc.freeze()
    gc.enable()  # `start` has disabled it for the imports
    try:
        anyio.run(serve_stdio, server, first_answers)
    except BaseExceptionGroup as group:
        error = first_of(group)
        if not isinstance(error, OSError) or not is_of_the_output(error):
            raise
        say(f"Error: the client can't be answered: {why_not_written(error)}.", err=True)
        raise SystemExit(1) from None


async def _prepare(connection: Connection) -> None:
    """Load what the first tools need while nobody waits for them.

    Any error is left to the tool that needs it.
    """
    await anyio.sleep(_IDLE_SECONDS)
    thread = threading.Thread(target=_import_late, daemon=True)  # one of anyio's would stay
    thread.start()
    while thread.is_alive():  # noqa: ASYNC110 - a thread sets no event of the loop
        await anyio.sleep(0.05)
    if not connection.settings.sandbox:
        with suppress(KallyAIError):
            connection.api()  # this reads the system's certificates


def _import_late() -> None:
    for name in _LATE:
        with suppress(ImportError):
            import_module(name)


_FOR_A_PERSON = {
    "kallyai-mcp demo": "see a call from sign-in to transcript; nobody is called",
    "kallyai-mcp install": "add it to a client, such as Claude Desktop or Cursor",
    "kallyai-mcp call": "place a call from here",
    "kallyai-mcp --help": "see all commands",
}
"""What a person may want who has started the server at a terminal."""


def _say_to_a_person() -> None:
    explain(
        "kallyai-mcp waits for an MCP client on standard input: it is a program that other "
        "programs start.\nYou may want:",
        err=True,
    )
    for command, what in _FOR_A_PERSON.items():
        explain_beside(f"  {command:<19}   ", what, err=True)
    explain("Ctrl-C ends it.", err=True)
