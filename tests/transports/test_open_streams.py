"""How many streams may be open, and that a stream ends when its bearer token is no longer valid."""

from contextlib import AsyncExitStack
from typing import Any

import anyio
import httpx2
import pytest

from kallyai_mcp.transports import limits
from tests.auth.oauth_server.deployment import User, deploy, sign_in
from tests.transports.http_server import (
    ACCEPT,
    LIMIT,
    RunningSandbox,
    running_server,
)


def listen_request() -> dict[str, Any]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"_meta": meta, "notifications": {"resourceSubscriptions": ["kallyai://calls"]}}
    headers = ACCEPT | {"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}
    message = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}
    return {"json": message, "headers": headers}


async def test_a_caller_may_open_so_many_streams(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_PER_CALLER", 2)
    with anyio.fail_after(LIMIT):
        async with running_server(sandbox.settings()) as url, httpx2.AsyncClient(timeout=LIMIT) as client:
            async with AsyncExitStack() as stack:
                events = await stack.enter_async_context(client.stream("GET", f"{url}/sse"))
                listening = await stack.enter_async_context(client.stream("POST", f"{url}/mcp", **listen_request()))
                open_ = [events.aiter_lines(), listening.aiter_lines()]
                assert all([await anext(lines) for lines in open_])
                refused = [await client.get(f"{url}/sse"), await client.post(f"{url}/mcp", **listen_request())]
                listed = await client.get(f"{url}/health")
            while (again := await _status_of_stream(client, f"{url}/sse")) == 429:
                await anyio.lowlevel.checkpoint()

    assert [response.status_code for response in refused] == [429, 429]
    assert refused[0].json() == {"error": "You have 2 streams open, which is the most. Close one first."}
    assert listed.status_code == 200
    assert again == 200


async def test_a_server_keeps_so_many_streams_open(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_STREAMS", 1)
    with anyio.fail_after(LIMIT):
        async with (
            running_server(sandbox.settings(), auth="caller") as url,
            httpx2.AsyncClient(timeout=LIMIT) as client,
        ):
            one, other = (
                {"Authorization": f"Bearer {sandbox.token(name)}"} for name in ("acct-personal", "acct-trial")
            )
            async with client.stream("GET", f"{url}/sse", headers=one) as events:
                lines = events.aiter_lines()
                assert await anext(lines)
                refused = await client.get(f"{url}/sse", headers=other)

    assert refused.status_code == 429
    assert refused.json() == {"error": "This server has 1 streams open, which is the most."}


async def test_a_stream_is_not_opened_for_its_headers_alone(sandbox: RunningSandbox) -> None:
    async with running_server(sandbox.settings()) as url, httpx2.AsyncClient(timeout=LIMIT) as client:
        assert (await client.head(f"{url}/sse")).status_code == 405


async def test_a_stream_ends_when_its_sign_in_is_revoked(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limits.VERIFY_SECONDS <= 60
    monkeypatch.setattr(limits, "VERIFY_SECONDS", 0.01)
    with anyio.fail_after(LIMIT):
        async with deploy(sandbox) as server, User() as user, httpx2.AsyncClient(timeout=LIMIT) as client:
            tokens = await sign_in(server, user)
            authorized = {"Authorization": f"Bearer {tokens['access_token']}"}
            listen = listen_request()
            listen["headers"] |= authorized
            async with (
                client.stream("GET", f"{server.url}/sse", headers=authorized) as events,
                client.stream("POST", f"{server.url}/mcp", **listen) as listening,
            ):
                chunks = [events.aiter_lines(), listening.aiter_lines()]
                first = [await anext(lines) for lines in chunks]
                form = {"token": tokens["access_token"], "client_id": tokens["client_id"]}
                revoked = await server.post("revoke", form)
                rest = [[line async for line in lines] for lines in chunks]  # ends when the response does

    assert all(first)
    assert revoked.status_code == 200
    assert len(rest) == 2


async def _status_of_stream(client: httpx2.AsyncClient, url: str) -> int:
    async with client.stream("GET", url) as response:
        if response.status_code == 200:
            lines = response.aiter_lines()
            await anext(lines)  # the SDK leaks a session that ends before its first event
        return response.status_code
