"""A client of 2025 that cancels a request to `/mcp` gets no late result, and its call goes on."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp.server.streamable_http import REQUEST_CANCELLED

from tests.transports.http_server import (
    ACCEPT,
    CALL,
    DEFAULT_OPTIONS,
    LIMIT,
    RunningSandbox,
    connected_agent,
    post_initialize,
    running_sandbox,
    running_server,
)

VERSION = {"MCP-Protocol-Version": "2025-11-25"}


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[RunningSandbox]:
    async with running_sandbox(tmp_path) as sandbox:
        yield sandbox


async def send(http: httpx2.AsyncClient, url: str, method: str, params: dict[str, Any], **more: Any) -> httpx2.Response:
    return await http.post(f"{url}/mcp", json={"jsonrpc": "2.0", "method": method, "params": params} | more)


async def session_of(url: str) -> dict[str, str]:
    return ACCEPT | VERSION | {"Mcp-Session-Id": (await post_initialize(url)).headers["mcp-session-id"]}


async def test_the_request_ends_without_a_result_and_the_call_goes_on(sandbox: RunningSandbox) -> None:
    answers: list[str] = []
    async with running_server(sandbox.settings()) as url:
        async with DEFAULT_OPTIONS.client(await session_of(url)) as http, anyio.create_task_group() as tasks:

            async def call() -> None:
                params = {"name": "make_call", "arguments": CALL | {"wait_seconds": LIMIT}}
                answers.append((await send(http, url, "tools/call", params, id=7)).text)

            tasks.start_soon(call)
            await sandbox.wait_for_calls()
            accepted = await send(http, url, "notifications/cancelled", {"requestId": 7, "reason": "timeout"})
        async with connected_agent(url, "legacy") as agent:
            sandbox.end_calls()
            again = await agent.use("make_call", CALL, wait_seconds=LIMIT)

    assert accepted.status_code == 202
    assert str(REQUEST_CANCELLED) in answers[0]
    assert "tracking_id" not in answers[0]
    assert (again.data["placed_now"], again.data["status"]) == (False, "success")
    assert len(await sandbox.calls()) == 1


async def test_nobody_else_can_cancel_it(sandbox: RunningSandbox) -> None:
    answers: list[str] = []
    async with running_server(sandbox.settings()) as url:
        own, other = await session_of(url), await session_of(url)
        strangers = [other, ACCEPT | VERSION, own | {"Mcp-Session-Id": own["Mcp-Session-Id"].lower() + "x"}]
        async with DEFAULT_OPTIONS.client(own) as http, anyio.create_task_group() as tasks:

            async def call() -> None:
                params = {"name": "make_call", "arguments": CALL | {"wait_seconds": LIMIT}}
                answers.append((await send(http, url, "tools/call", params, id=7)).text)

            tasks.start_soon(call)
            await sandbox.wait_for_calls()
            for headers in strangers:
                async with DEFAULT_OPTIONS.client(headers) as stranger:
                    await send(stranger, url, "notifications/cancelled", {"requestId": 7})
            await send(http, url, "notifications/cancelled", {"requestId": 8})
            sandbox.end_calls()

    assert other["Mcp-Session-Id"] != own["Mcp-Session-Id"]
    assert '"status":"success"' in answers[0].replace(" ", "")


async def test_another_account_with_the_same_session_id_can_not_cancel_it(sandbox: RunningSandbox) -> None:
    answers: list[str] = []
    tokens = [sandbox.token(), sandbox.token("acct-business")]
    async with running_server(replace(sandbox.settings(), access_token=None), auth="caller") as url:
        own, other = (ACCEPT | VERSION | {"Mcp-Session-Id": "s", "Authorization": f"Bearer {each}"} for each in tokens)
        async with (
            DEFAULT_OPTIONS.client(own) as http,
            DEFAULT_OPTIONS.client(other) as stranger,
            anyio.create_task_group() as tasks,
        ):

            async def call() -> None:
                params = {"name": "make_call", "arguments": CALL | {"wait_seconds": LIMIT}}
                answers.append((await send(http, url, "tools/call", params, id=7)).text)

            tasks.start_soon(call)
            await sandbox.wait_for_calls()
            await send(stranger, url, "notifications/cancelled", {"requestId": 7})
            sandbox.end_calls()

    assert '"status":"success"' in answers[0].replace(" ", "")


async def test_a_real_client_that_gives_up_cancels_and_finds_its_call(sandbox: RunningSandbox) -> None:
    async with running_server(sandbox.settings()) as url, connected_agent(url, "legacy") as agent:
        with pytest.raises(Exception, match=r"[Tt]imed out"):
            await agent.client.call_tool("make_call", CALL | {"wait_seconds": LIMIT}, read_timeout_seconds=0.5)
        await sandbox.wait_for_calls()
        sandbox.end_calls()
        again = await agent.use("make_call", CALL, wait_seconds=LIMIT)

    assert (again.data["placed_now"], again.data["status"]) == (False, "success")
    assert len(await sandbox.calls()) == 1


async def test_a_session_is_only_a_name(sandbox: RunningSandbox) -> None:
    async with running_server(sandbox.settings()) as url:
        first, second = await session_of(url), await session_of(url)
        async with httpx2.AsyncClient(headers=first | {"Mcp-Session-Id": "made up"}) as http:
            listed = await send(http, url, "tools/list", {}, id=1)
            opened = await http.get(f"{url}/mcp")
            ended = await http.delete(f"{url}/mcp")

    assert first != second
    assert listed.status_code == 200
    assert "mcp-session-id" not in listed.headers
    assert (opened.status_code, ended.status_code) == (405, 405)
