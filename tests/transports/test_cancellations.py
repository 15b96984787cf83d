"""A client of 2025 that cancels a request to `/mcp` gets no late result, and its call goes on."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp.server.streamable_http import REQUEST_CANCELLED

from kallyai_mcp.server import cancellations
from kallyai_mcp.settings import Settings
from tests.transports.http_server import (
    ACCEPT,
    CALL,
    DEFAULT_OPTIONS,
    LIMIT,
    connected_agent,
    post_initialize,
    running_sandbox,
    running_server,
    wait_until,
)

VERSION = {"MCP-Protocol-Version": "2025-11-25"}


async def send(http: httpx2.AsyncClient, url: str, method: str, params: dict[str, Any], **more: Any) -> httpx2.Response:
    return await http.post(f"{url}/mcp", json={"jsonrpc": "2.0", "method": method, "params": params} | more)


async def make_call(http: httpx2.AsyncClient, url: str, answers: list[str]) -> None:
    params = {"name": "make_call", "arguments": CALL | {"wait_seconds": LIMIT}}
    answers.append((await send(http, url, "tools/call", params, id=7)).text)


async def test_the_request_ends_without_a_result_when_its_own_client_cancels_it_and_the_call_goes_on(
    tmp_path: Path,
) -> None:
    answers: list[str] = []
    async with running_sandbox(tmp_path) as sandbox, running_server(sandbox.settings(), auth="caller") as url:
        bearers = [{"Authorization": f"Bearer {sandbox.token(name)}"} for name in ("acct-personal", "acct-business")]
        session = {"Mcp-Session-Id": (await post_initialize(url, bearers[0])).headers["mcp-session-id"]}
        own = ACCEPT | VERSION | bearers[0]
        strangers = [ACCEPT | VERSION | bearers[1] | session, own | {"Mcp-Session-Id": "another"}, own]
        async with DEFAULT_OPTIONS.client(own | session) as http, anyio.create_task_group() as tasks:
            tasks.start_soon(make_call, http, url, answers)
            await sandbox.wait_for_calls()
            for headers in strangers:
                async with DEFAULT_OPTIONS.client(headers) as stranger:
                    await send(stranger, url, "notifications/cancelled", {"requestId": 7})
            await send(http, url, "notifications/cancelled", {"requestId": 8})
            await post_initialize(url, bearers[0])
            still_open = list(answers)
            accepted = await send(http, url, "notifications/cancelled", {"requestId": 7, "reason": "timeout"})
        async with connected_agent(url, "legacy", token=sandbox.token()) as agent:
            sandbox.end_calls()
            again = await agent.use("make_call", CALL, wait_seconds=LIMIT)
        calls = await sandbox.calls()

    assert (still_open, accepted.status_code) == ([], 202)
    assert str(REQUEST_CANCELLED) in answers[0]
    assert "tracking_id" not in answers[0]
    assert (again.data["placed_now"], again.data["status"]) == (False, "success")
    assert len(calls) == 1


async def test_a_cancellation_that_reaches_another_worker_counts_and_the_outcome_is_told_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancellations, "QUICK", 0.0)
    answers: list[str] = []
    async with running_sandbox(tmp_path) as sandbox, running_server(settings := sandbox.settings()) as url:
        own = ACCEPT | VERSION | {"Mcp-Session-Id": (await post_initialize(url)).headers["mcp-session-id"]}
        stranger = own | {"Mcp-Session-Id": "another"}
        async with connected_agent(url, "legacy") as agent:
            ids = [
                (await agent.use("make_call", CALL, business_name=name, wait_seconds=0)).data["tracking_id"]
                for name in ("One", "Two")
            ]
        await sandbox.wait_for_calls(2)
        async with (
            running_server(settings) as other_url,
            DEFAULT_OPTIONS.client(own) as http,
            DEFAULT_OPTIONS.client(stranger) as other,
        ):
            for client, number in ((http, 7), (other, 8)):  # they may even come before the result is ready
                await send(client, other_url, "notifications/cancelled", {"requestId": number})
            sandbox.end_calls()
            await wait_until(lambda: in_ledger(settings, "state = 'ended'") == [(1,), (1,)])
            for number, tracking_id in zip((7, 8), ids, strict=True):
                params = {"name": "get_call", "arguments": {"call_id": tracking_id, "wait_seconds": LIMIT}}
                answers.append((await send(http, url, "tools/call", params, id=number)).text)
        delivered = in_ledger(settings, "delivered_at IS NOT NULL")

    (canceled, answered) = answers
    assert str(REQUEST_CANCELLED) in canceled
    assert "tracking_id" not in canceled
    assert '"status":"success"' in answered.replace(" ", "")
    assert delivered == [(0,), (1,)]


def in_ledger(settings: Settings, what: str) -> list[tuple[int]]:
    with contextlib.closing(sqlite3.connect(settings.home / "ledger.db")) as ledger:
        return ledger.execute(f"SELECT {what} FROM calls ORDER BY submission").fetchall()  # noqa: S608 - our own words
