"""All uses of private parts of the MCP SDK (mcp 2.3), with the reason for each.

No other module may use private parts. `tests/server/test_sdk_internals.py` has a test for each function here, which
fails when the SDK changes that part.
"""

import sys
from collections.abc import AsyncIterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, cast

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp.server.runner import serve_dual_era_loop
from mcp.server.stdio import (
    _claim_fd,
    _open_stdin_diversion,
    _open_stdout_diversion,
    _UnownedTextWrapper,
    stdio_server,
)

from kallyai_mcp.server.line_connection import LineConnection, Output, Write
from kallyai_mcp.tools.context import AppContext


@contextmanager
def sdk_streams() -> Iterator[tuple[anyio.AsyncFile[str], anyio.AsyncFile[str]]]:
    """A context that takes standard input and output as `stdio_server` does, which does not tell what it has written.

    The streams block, and are read and written by threads.
    """
    with ExitStack() as claims:
        stdin, restore = _claim_fd(0, sys.stdin, "rb", _open_stdin_diversion)
        if restore is not None:
            claims.callback(restore)
        stdout, restore = _claim_fd(1, sys.stdout, "wb", _open_stdout_diversion)
        if restore is not None:
            claims.callback(restore)
        yield _as_text(stdin), _as_text(stdout)


def _as_text(file: BinaryIO) -> anyio.AsyncFile[str]:
    return anyio.wrap_file(_UnownedTextWrapper(file, encoding="utf-8", errors="replace"))


async def run_on_lines(
    server: MCPServer[AppContext], lines: AsyncIterable[str], write: Write, output: Output | None = None
) -> None:
    """Serve one client until it disconnects; see `LineConnection`.

    `MCPServer.run_stdio_async` takes no streams. `stdio_server` does, and declares them as anyio's files, but uses only
    the methods of `LineConnection`.

    Raises:
        ExceptionGroup: The errors that `lines` or `write` raised.
    """
    lowlevel = server._lowlevel_server  # noqa: SLF001
    async with lowlevel.lifespan(lowlevel) as state, anyio.create_task_group() as tasks:
        connection = LineConnection(lines, write, state.calls.delivery, output)
        tasks.start_soon(connection.watch)
        stream = cast("anyio.AsyncFile[str]", connection)
        while not connection.is_over:
            async with stdio_server(stream, stream) as (messages, answers):
                await serve_dual_era_loop(lowlevel, messages, answers, lifespan_state=state)
        await connection.note_read()
        tasks.cancel_scope.cancel()


def connection_of(ctx: ServerRequestContext[Any, Any]) -> object:
    """The connection of a message: the same object for all messages of one connection.

    A notification that cancels a request has the request's id, which is unique only in one connection. The SDK makes a
    session object for each message, and all of one connection share only this private part.
    """
    return ctx.session._connection  # noqa: SLF001
