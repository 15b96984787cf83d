"""A client that leaves before its answer, and comes back, finds its call over HTTP; for stdio see tests/frameworks.

No transport resumes a stream: `/mcp` and `/sse` send no event ids, so a client has no `Last-Event-ID` to name.
The ledger has the outcome instead; docs/frameworks.md says why.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp import MCPError

from tests.transports.http_server import (
    CALL,
    CONNECTIONS,
    LIMIT,
    RunningSandbox,
    connected_agent,
    running_sandbox,
    running_server,
)


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[RunningSandbox]:
    async with running_sandbox(tmp_path) as sandbox:
        yield sandbox


@pytest.mark.parametrize("way", CONNECTIONS)
async def test_a_client_whose_connection_is_cut_asks_again_and_gets_the_outcome(
    sandbox: RunningSandbox, way: str
) -> None:
    is_lost = False
    async with running_server(sandbox.settings()) as url, _breakable(url) as (address, cut):
        try:
            async with connected_agent(address, way) as agent, anyio.create_task_group() as tasks:

                async def cut_when_placed() -> None:
                    await sandbox.wait_for_calls()
                    cut()

                tasks.start_soon(cut_when_placed)
                await agent.client.call_tool("make_call", {**CALL, "wait_seconds": LIMIT})
        except* (MCPError, httpx2.HTTPError):
            is_lost = True
        sandbox.end_calls()
        async with connected_agent(address, way) as agent:
            again = await agent.use("make_call", CALL, wait_seconds=LIMIT)

    assert is_lost
    assert (again.data["placed_now"], again.data["status"]) == (False, "success")
    assert len(await sandbox.calls()) == 1


@asynccontextmanager
async def _breakable(url: str) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    """Another address of a server, and what cuts all connections that are open there."""
    writers: list[asyncio.StreamWriter] = []

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", httpx2.URL(url).port)
        await asyncio.gather(copy(reader, to_server), copy(from_server, writer))

    def cut() -> None:
        for writer in writers:
            writer.transport.abort()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", cut
