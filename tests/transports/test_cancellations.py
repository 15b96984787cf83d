"""A client of 2025 that cancels a request to `/mcp` gets no late result, and its call goes on."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp.server.streamable_http import REQUEST_CANCELLED

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
)

VERSION = {"MCP-Protocol-Version": "2025-11-25"}


async def send(
    http: httpx2.AsyncClient, url: str, method: str, params: dict[str, Any], **more: Any
) -> httpx2.Response:
    return await http.post(
        f"{url}/mcp", json={"jsonrpc": "2.0", "method": method, "params": params} | more
    )


async def ask(
    http: httpx2.AsyncClient,
    url: str,
    answers: list[str],
    tool: str,
    arguments: dict[str, Any],
    number: int,
) -> None:
    params = {"name": tool, "arguments": arguments | {"wait_seconds": LIMIT}}
    answers.append((await send(http, url, "tools/call", params, id=number)).text)


async def test_a_canceled_request_ends_and_its_call_goes_on(
    tmp_path: Path,
) -> None:
    answers: list[str] = []
    async with (
        running_sandbox(tmp_path) as sandbox,
        running_server(sandbox.settings(), auth="caller") as url,
    ):
        bearers = [
            {"Authorization": f"Bearer {sandbox.token(name)}"}
            for name in ("acct-personal", "acct-business")
        ]
        session = {
            "Mcp-Session-Id": (await post_initialize(url, bearers[0])).headers["mcp-session-id"]
        }
        own = ACCEPT | VERSION | bearers[0]
        strangers = [
            ACCEPT | VERSION | bearers[1] | session,
            own | {"Mcp-Session-Id": "another"},
            own,
        ]
        async with (
            DEFAULT_OPTIONS.client(own | session) as http,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(ask, http, url, answers, "make_call", CALL, 7)
            await sandbox.wait_for_calls()
            for headers in strangers:
                async with DEFAULT_OPTIONS.client(headers) as stranger:
                    await send(stranger, url, "notifications/cancelled", {"requestId": 7})
            await send(http, url, "notifications/cancelled", {"requestId": 8})
            await post_initialize(url, bearers[0])
            still_open = list(answers)
            accepted = await send(
                http, url, "notifications/cancelled", {"requestId": 7, "reason": "timeout"}
            )
        async with connected_agent(url, "legacy", token=sandbox.token()) as agent:
            sandbox.end_calls()
            again = await agent.use("make_call", CALL, wait_seconds=LIMIT)
        calls = await sandbox.calls()

    assert (still_open, accepted.status_code) == ([], 202)
    assert str(REQUEST_CANCELLED) in answers[0]
    assert "tracking_id" not in answers[0]
    assert (again.data["placed_now"], again.data["status"]) == (False, "success")
    assert len(calls) == 1


async def test_a_cancellation_may_reach_another_worker(
    tmp_path: Path,
) -> None:
    candidates = [{"respondent_phone": number} for number in ("+12025550142", "+12025550143")]
    asked = {name: CALL[name] for name in ("task_category", "task_description")}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("make_call", CALL),
        ("call_around", asked | {"candidates": candidates, "until": "answered"}),
    ]
    answers: list[str] = []
    async with (
        running_sandbox(tmp_path) as sandbox,
        running_server(settings := sandbox.settings()) as url,
    ):
        own = (
            ACCEPT
            | VERSION
            | {"Mcp-Session-Id": (await post_initialize(url)).headers["mcp-session-id"]}
        )
        async with (
            running_server(settings) as other_url,
            DEFAULT_OPTIONS.client(own) as http,
            anyio.create_task_group() as tasks,
        ):
            for number, (tool, arguments) in enumerate(requests):
                tasks.start_soon(ask, http, url, answers, tool, arguments, number)
            await sandbox.wait_for_calls(2)
            for number in range(2):
                await send(http, other_url, "notifications/cancelled", {"requestId": number})
            sandbox.end_calls()
        delivered = in_ledger(settings, "delivered_at IS NOT NULL")
        async with connected_agent(url, "auto") as agent:
            again = [await agent.use(tool, arguments) for tool, arguments in requests]
        delivered_again = in_ledger(settings, "delivered_at IS NOT NULL")

    assert ["tracking_id" in answer or "call_id" in answer for answer in answers] == [True, True]
    assert [answer.data["placed_now"] for answer in again] == [False, False]
    assert (delivered, delivered_again) == ([(0,), (0,)], [(1,), (1,)])


def in_ledger(settings: Settings, what: str) -> list[tuple[int]]:
    with contextlib.closing(sqlite3.connect(settings.home / "ledger.db")) as ledger:
        return ledger.execute(f"SELECT {what} FROM calls ORDER BY submission").fetchall()  # noqa: S608 - our own words
