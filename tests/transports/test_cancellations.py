"""A client of 2025 that cancels a request to `/mcp` gets no late result, and its call goes on."""

import contextlib
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp.server.streamable_http import REQUEST_CANCELLED

from kallyai_mcp.settings import Settings
from tests.transports.http_server import (
    ACCEPT,
    DEFAULT_OPTIONS,
    LIMIT,
    RunningSandbox,
    connected_agent,
    post_initialize,
    running_server,
)

VERSION = {"MCP-Protocol-Version": "2025-11-25"}
REQUEST = 7

CANDIDATES = [{"respondent_phone": number} for number in ("+12025550142", "+12025550143")]
PLACES: dict[str, dict[str, Any]] = {
    "make_call": {"respondent_phone": "+12025550100"},
    "call_around": {"candidates": CANDIDATES, "until": "answered"},
}


def asked(tool: str = "make_call") -> dict[str, Any]:
    """Arguments of a tool that no other test has: a new ledger sends the same key for the same."""
    task = {"task_category": "general", "task_description": f"Ask for {uuid.uuid4()}"}
    return task | PLACES[tool]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True)
class Client:
    """A client of 2025 in a session of its own; `headers` has its token and the session's id."""

    sandbox: RunningSandbox
    url: str
    headers: dict[str, str]

    @classmethod
    async def begin(
        cls, sandbox: RunningSandbox, url: str, headers: dict[str, str] | None = None
    ) -> "Client":
        begun = await post_initialize(url, headers)
        session = {"Mcp-Session-Id": begun.headers["mcp-session-id"]}
        return cls(sandbox, url, ACCEPT | VERSION | (headers or {}) | session)

    async def cancel(self, request: int = REQUEST) -> httpx2.Response:
        params = {"requestId": request, "reason": "timeout"}
        return await self._send("notifications/cancelled", params)

    async def ask(self, tool: str, arguments: dict[str, Any], answers: list[str]) -> None:
        """Use a tool, and append the body of its answer."""
        params = {"name": tool, "arguments": arguments | {"wait_seconds": LIMIT}}
        answers.append((await self._send("tools/call", params, id=REQUEST)).text)

    @asynccontextmanager
    async def waiting(
        self, arguments: dict[str, Any], tool: str = "make_call"
    ) -> AsyncIterator[list[str]]:
        """Wait for a call that has begun; at the end of the block the answer must come."""
        answers: list[str] = []
        before = len(await self.sandbox.calls())
        async with anyio.create_task_group() as tasks:
            with anyio.fail_after(LIMIT):
                tasks.start_soon(self.ask, tool, arguments, answers)
                await self.sandbox.wait_for_calls(before + 1)
            yield answers

    async def _send(self, method: str, params: dict[str, Any], **more: Any) -> httpx2.Response:
        async with DEFAULT_OPTIONS.client(self.headers) as http:
            message = {"jsonrpc": "2.0", "method": method, "params": params} | more
            return await http.post(f"{self.url}/mcp", json=message)


@pytest.fixture
async def settings(sandbox: RunningSandbox, tmp_path: Path) -> AsyncIterator[Settings]:
    """Of a server with a ledger of its own; the calls of the test end with it."""
    yield replace(sandbox.settings(), home=tmp_path)
    sandbox.end_calls()


@pytest.fixture
async def client(sandbox: RunningSandbox, settings: Settings) -> AsyncIterator[Client]:
    async with running_server(settings, auth="caller") as url:
        yield await Client.begin(sandbox, url, bearer(sandbox.token()))


async def test_a_canceled_request_has_no_result(client: Client) -> None:
    async with client.waiting(asked()) as answers:
        accepted = await client.cancel()

    assert accepted.status_code == 202
    assert str(REQUEST_CANCELLED) in answers[0]
    assert "tracking_id" not in answers[0]


async def test_a_canceled_requests_call_goes_on(client: Client) -> None:
    before = len(await client.sandbox.calls())
    arguments = asked()

    async with client.waiting(arguments):
        await client.cancel()
    client.sandbox.end_calls()
    async with connected_agent(client.url, "legacy", token=client.sandbox.token()) as agent:
        again = await agent.use("make_call", arguments, wait_seconds=LIMIT)

    assert (again.data["placed_now"], again.data["status"]) == (False, "success")
    assert len(await client.sandbox.calls()) == before + 1


def of_another_account(client: Client) -> Client:
    token = client.sandbox.token("acct-business")
    return replace(client, headers=client.headers | bearer(token))


def of_another_session(client: Client) -> Client:
    return replace(client, headers=client.headers | {"Mcp-Session-Id": "another"})


def without_session(client: Client) -> Client:
    headers = {name: value for name, value in client.headers.items() if name != "Mcp-Session-Id"}
    return replace(client, headers=headers)


@pytest.mark.parametrize("other", [of_another_account, of_another_session, without_session])
async def test_no_other_client_cancels_a_request(
    client: Client, other: Callable[[Client], Client]
) -> None:
    async with client.waiting(asked()) as answers:
        await other(client).cancel()
        await post_initialize(client.url, bearer(client.sandbox.token()))
        before = list(answers)
        await client.cancel()

    assert before == []


async def test_a_cancellation_ends_no_other_request(client: Client) -> None:
    async with client.waiting(asked()) as answers:
        await client.cancel(REQUEST + 1)
        await post_initialize(client.url, bearer(client.sandbox.token()))
        before = list(answers)
        await client.cancel()

    assert before == []


@pytest.mark.parametrize("tool", PLACES)
async def test_a_cancellation_may_reach_another_worker(
    sandbox: RunningSandbox, settings: Settings, tool: str
) -> None:
    arguments = asked(tool)
    async with running_server(settings) as url, running_server(settings) as other_url:
        client = await Client.begin(sandbox, url)
        async with client.waiting(arguments, tool) as answers:
            await replace(client, url=other_url).cancel()
            sandbox.end_calls()
        delivered = are_delivered(settings)
        async with connected_agent(url, "auto") as agent:
            again = await agent.use(tool, arguments)

    assert "call_id" in answers[0]
    assert not again.data["placed_now"]
    assert [delivered, are_delivered(settings)] == [[False], [True]]


def are_delivered(settings: Settings) -> list[bool]:
    """Whether the outcome of each call counts as delivered."""
    with contextlib.closing(sqlite3.connect(settings.home / "ledger.db")) as ledger:
        found = ledger.execute("SELECT delivered_at IS NOT NULL FROM calls").fetchall()
    return [bool(is_delivered) for (is_delivered,) in found]
