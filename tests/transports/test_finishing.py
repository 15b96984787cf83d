"""A server that is stopped answers the requests that it has, if it is given the time."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from kallyai_mcp.cli.serve_http import build_app
from kallyai_mcp.tools import catalog
from kallyai_mcp.transports.uvicorn_server import serve_app
from tests.transports.http_server import (
    CALL,
    LIMIT,
    SECRET_KEYS,
    RunningSandbox,
    connected_agent,
    running_sandbox,
)
from tests.transports.workers import uvicorn

pytestmark = pytest.mark.programs

SECRET = "a-secret-of-many-characters"

Stop = Callable[[], Awaitable[None]]


@asynccontextmanager
async def own_server(sandbox: RunningSandbox) -> AsyncIterator[tuple[str, Stop]]:
    """The server of `serve`, in this process; yields its URL, and what stops it."""
    stopped, stopping = anyio.Event(), anyio.Event()

    async def serve(*, task_status: anyio.abc.TaskStatus[str]) -> None:
        app = build_app(sandbox.settings(), "127.0.0.1")
        async with serve_app(app, "127.0.0.1", 0, finish_seconds=LIMIT) as url:
            task_status.started(url)
            await stopped.wait()
            stopping.set()

    async def stop() -> None:
        stopped.set()
        await stopping.wait()

    async with anyio.create_task_group() as tasks:
        yield await tasks.start(serve), stop


@asynccontextmanager
async def workers(sandbox: RunningSandbox) -> AsyncIterator[tuple[str, Stop]]:
    """Two workers of uvicorn; yields their URL, and what stops them."""
    given = {"AUTH": "secret", "MCP_TOKEN": SECRET, "SECRET_KEYS": SECRET_KEYS}
    given |= {"API_URL": sandbox.url, "ACCESS_TOKEN": sandbox.token()}
    async with uvicorn(sandbox.home, workers=2, finish_seconds=str(LIMIT), **given) as server:
        yield server.url, server.stop


@pytest.mark.parametrize("server", [own_server, workers])
@pytest.mark.skipif(sys.platform == "win32", reason="uvicorn is told to stop by a signal")
async def test_a_stopped_server_answers_its_requests(
    tmp_path: Path, server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "PROGRESS_EVERY", 0.5)  # of the server in this process
    messages, has_news = 0, anyio.Event()

    async def tell(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001 - of the protocol
        nonlocal messages, has_news
        messages += 1
        has_news.set()
        has_news = anyio.Event()

    async def end_the_call(sandbox: RunningSandbox, stop: Stop) -> None:
        await sandbox.wait_for_calls(1)
        await stop()
        before = messages
        while messages < before + 2:  # the stream of the answer is still open
            await has_news.wait()
        sandbox.end_calls()

    with anyio.fail_after(LIMIT):
        async with (
            running_sandbox(tmp_path) as sandbox,
            server(sandbox) as (url, stop),
            connected_agent(url, "legacy", token=SECRET) as agent,
            anyio.create_task_group() as tasks,
        ):
            await agent.client.list_tools()  # else it would ask for the output schema at the end
            tasks.start_soon(end_the_call, sandbox, stop)
            answer = await agent.client.call_tool(
                "make_call", CALL | {"wait_seconds": LIMIT}, progress_callback=tell
            )

    assert answer.structured_content is not None
    assert answer.structured_content["status"] == "success"
