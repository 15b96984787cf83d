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

from kallyai_mcp.server.answers_read import AnswersRead, Output
from kallyai_mcp.server.invalid_messages import without_invalid
from kallyai_mcp.server.successive_connections import SuccessiveConnections, Write
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
    """Serve one client with one JSON-RPC message in each line, until it disconnects.

    `MCPServer.run_stdio_async` takes no streams. `stdio_server` does, and declares them as anyio's files, but uses only
    the methods of `SuccessiveConnections`.

    Args:
        server: The server.
        lines: The lines of the client.
        write: Writes a message to the client.
        output: Where `write` writes, so that an outcome is delivered only when the client has read it; None for a
            client that has read an answer when it is written.

    Raises:
        ExceptionGroup: The errors that `lines` or `write` raised.
    """
    lowlevel = server._lowlevel_server  # noqa: SLF001
    async with lowlevel.lifespan(lowlevel) as state, anyio.create_task_group() as tasks:
        if output is not None:
            answers_read = AnswersRead(state.calls.delivery, lines, write, output)
            lines, write = answers_read, answers_read.write
            tasks.start_soon(answers_read.look)
        writing = anyio.Lock()

        async def write_whole(text: str) -> None:
            async with writing:
                await write(text)

        connections = SuccessiveConnections(without_invalid(lines, write_whole), write_whole)
        stream = cast("anyio.AsyncFile[str]", connections)
        while not connections.are_over:
            async with stdio_server(stream, stream) as (messages, answers):
                await serve_dual_era_loop(lowlevel, messages, answers, lifespan_state=state)
        if output is not None:
            await answers_read.note()
        tasks.cancel_scope.cancel()


def connection_of(ctx: ServerRequestContext[Any, Any]) -> object:
    """The connection of a message: the same object for all messages of one connection.

    A notification that cancels a request has the request's id, which is unique only in one connection. The SDK makes a
    session object for each message, and all of one connection share only this private part.
    """
    return ctx.session._connection  # noqa: SLF001
