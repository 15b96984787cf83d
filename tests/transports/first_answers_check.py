"""Compares what a client gets from `FirstAnswers` and then the server with what it gets from the server alone."""

import os
import socket
import tempfile
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import anyio
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.server.build import build_server
from kallyai_mcp.server.sdk_internals import run_on_lines
from kallyai_mcp.transports.async_stdio import LineReader
from kallyai_mcp.transports.first_answers import FirstAnswers
from kallyai_mcp.transports.stdio import Replay
from tests.agent import settings_in
from tests.first_answers import LIMIT

LAST = '{"jsonrpc":"2.0","id":"end","method":"no/such"}'
"""A request that every server refuses at once."""

VERSIONS = (*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS)

Json = dict[str, Any]

CAPABILITIES: list[Json] = [
    {},
    {"roots": {"listChanged": True}},
    {"elicitation": {"form": {}, "url": {}}, "sampling": {"context": {}, "tools": {}}},
    {"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}}},
    {"experimental": {"x": {"y": [1]}}},
    {"tasks": {"list": {}, "requests": {"sampling": {"createMessage": {}}}}},
]
"""What clients are able to do, as they say it."""


async def server_alone(lines: Sequence[str]) -> list[str]:
    """All lines that the server writes to a client that sends these at once."""
    written: list[str] = []

    class Streams:
        async def __aiter__(self) -> AsyncGenerator[str, None]:
            for line in (*lines, LAST):
                yield line
            await anyio.wait_all_tasks_blocked()

        async def write(self, text: str) -> None:
            written.append(text)

    await _serve(Streams())
    return written


async def with_first_answers(lines: Sequence[str], cuts: Sequence[int], ready_after: int) -> tuple[list[str], int]:
    """The same if `FirstAnswers` answers until so many pieces were sent; and how many requests it answered."""
    data = "".join(f"{line}\n" for line in (*lines, LAST)).encode("utf-8", "surrogatepass")
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
    ours, theirs = socket.socketpair()
    written: list[str] = []
    with ours, theirs:
        for side in (ours, theirs):
            side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        first = FirstAnswers(theirs.fileno(), theirs.fileno())
        if ready_after:
            ours.sendall(b"".join(pieces[:1]))
        first.start()
        for number, piece in enumerate(pieces):
            if number == ready_after:
                first.stop()
            if number or not ready_after:
                ours.sendall(piece)
        if ready_after >= len(pieces):
            first.stop()

        async def read() -> None:
            async for line in LineReader(os.dup(ours.fileno())):
                written.append(line if line.endswith("\n") else f"{line}\n")
                if '"id":"end"' in line:
                    await anyio.wait_all_tasks_blocked()
                    ours.shutdown(socket.SHUT_WR)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await _serve(Replay(first))
            theirs.shutdown(socket.SHUT_WR)
    return written, first.requests


async def _serve(streams: Any) -> None:
    with tempfile.TemporaryDirectory() as home, anyio.fail_after(LIMIT):
        connection = Connection(settings_in(Path(home)))
        server = build_server(lambda: open_app_context(connection, timezone="UTC"))
        await run_on_lines(server, streams, streams.write)


def check_first_answers(lines: list[str], cuts: list[int], ready_after: int) -> None:
    """Check that a client gets the same lines from both. `cuts` is where its data is cut into pieces."""

    async def both() -> tuple[list[str], list[str]]:
        return await server_alone(lines), (await with_first_answers(lines, cuts, ready_after))[0]

    alone, together = anyio.run(both)
    assert sorted(together) == sorted(alone)
