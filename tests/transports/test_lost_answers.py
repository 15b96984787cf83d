"""A client that leaves before its answer, and comes back, finds its call over HTTP; for stdio see tests/frameworks.

No transport resumes a stream: `/mcp` and `/sse` send no event ids, so a client has no `Last-Event-ID` to name.
The ledger has the outcome instead; docs/frameworks.md says why.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import MCPError

from tests.transports.http_server import (
    ACCEPT,
    CALL,
    CONNECTIONS,
    LIMIT,
    RunningSandbox,
    connected_agent,
    initialize,
    running_sandbox,
    running_server,
)


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[RunningSandbox]:
    async with running_sandbox(tmp_path) as sandbox:
        yield sandbox


@pytest.mark.parametrize("way", CONNECTIONS)
async def test_a_client_that_leaves_while_it_waits_gets_the_outcome_when_it_is_back(
    sandbox: RunningSandbox, way: str
) -> None:
    async with running_server(sandbox.settings()) as url:
        with anyio.CancelScope() as leaving:
            async with connected_agent(url, way) as agent, anyio.create_task_group() as tasks:

                async def leave() -> None:
                    await sandbox.wait_for_calls()
                    leaving.cancel()

                tasks.start_soon(leave)
                await agent.use("make_call", CALL, wait_seconds=LIMIT)
        sandbox.end_calls()
        async with connected_agent(url, way) as agent:
            again = await agent.use("make_call", CALL, wait_seconds=LIMIT)

    assert leaving.cancelled_caught
    assert (again.data["placed_now"], again.data["status"]) == (False, "success")
    assert len(await sandbox.calls()) == 1


async def test_a_connection_that_breaks_in_the_middle_of_an_answer_loses_nothing(sandbox: RunningSandbox) -> None:
    call = {"name": "make_call", "arguments": {**CALL, "wait_seconds": LIMIT}, "_meta": {"progressToken": 1}}
    message = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}
    async with running_server(sandbox.settings()) as url:
        async with (
            httpx2.AsyncClient(timeout=LIMIT) as http,
            http.stream("POST", f"{url}/mcp", json=message, headers=ACCEPT) as response,
        ):
            lines = [line async for line in _until_progress(response)]
        async with httpx2.AsyncClient(timeout=LIMIT) as http:
            resumed = await http.get(f"{url}/mcp", headers=ACCEPT | {"Last-Event-ID": "1"})
            await sandbox.wait_for_calls()
            sandbox.end_calls()
            async with connected_agent(url, "legacy") as agent:
                again = await agent.use("make_call", CALL, wait_seconds=LIMIT)

    assert not [line for line in lines if line.startswith("id:")]
    assert resumed.status_code == 405
    assert (again.data["placed_now"], again.data["status"]) == (False, "success")


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


async def _until_progress(response: httpx2.Response) -> AsyncIterator[str]:
    async for line in response.aiter_lines():
        yield line
        if "notifications/progress" in line:
            return


async def test_a_session_of_sse_that_ends_leaves_its_call_to_the_next_one(sandbox: RunningSandbox) -> None:
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call"}
    params: dict[str, Any] = {"name": "make_call", "arguments": {**CALL, "wait_seconds": LIMIT}}
    async with running_server(sandbox.settings()) as url, httpx2.AsyncClient(timeout=LIMIT) as http:
        for number in (1, 2):
            async with _sse(http, url, {"Last-Event-ID": "7"} if number == 2 else {}) as (address, data):
                for message in (initialize(), {"jsonrpc": "2.0", "method": "notifications/initialized"}):
                    await http.post(address, json=message)
                await http.post(address, json={**call, "params": params})
                await sandbox.wait_for_calls()
                if number == 2:
                    sandbox.end_calls()
                    (result,) = [found async for found in data if '"id":2' in found]

    outcome = json.loads(result)["result"]["structuredContent"]
    assert (outcome["placed_now"], outcome["status"]) == (False, "success")
    assert len(await sandbox.calls()) == 1


def _sse(
    http: httpx2.AsyncClient, url: str, headers: dict[str, str]
) -> AbstractAsyncContextManager[tuple[str, AsyncIterator[str]]]:
    """A session: where its messages are posted, and what it answers until the result of request 2."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[tuple[str, AsyncIterator[str]]]:
        async with http.stream("GET", f"{url}/sse", headers=headers) as response:
            lines = (line.removeprefix("data: ") async for line in response.aiter_lines() if line.startswith("data: "))
            address = f"{url}{await anext(lines)}"

            async def until_result() -> AsyncIterator[str]:
                async for line in lines:
                    yield line
                    if '"id":2' in line:
                        return

            yield address, until_result()

    return opened()
