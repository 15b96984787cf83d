"""A client that gives up on a request to `/mcp` and asks again must not have its call placed twice."""

from pathlib import Path
from typing import Any

import anyio
import httpx2

from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS
from tests.transports.http_server import (
    ACCEPT,
    CALL,
    DEFAULT_OPTIONS,
    LIMIT,
    connected_agent,
    running_sandbox,
    running_server,
)

(BUSY,) = [entry.number for entry in TEST_NUMBERS if entry.name == "busy" and entry.number.startswith("+1")]
CALL_TO_BUSY = CALL | {"respondent_phone": BUSY}
PROTOCOL_OF_2025 = ACCEPT | {"MCP-Protocol-Version": "2025-11-25"}


async def test_an_outcome_is_not_delivered_if_its_request_was_canceled_by_another_request(
    tmp_path: Path,
) -> None:
    async with running_sandbox(tmp_path) as sandbox, running_server(sandbox.settings()) as url:
        with anyio.fail_after(LIMIT):
            async with DEFAULT_OPTIONS.client(PROTOCOL_OF_2025) as http, anyio.create_task_group() as tasks:

                async def call() -> httpx2.Response:
                    params = {"name": "make_call", "arguments": CALL_TO_BUSY | {"wait_seconds": LIMIT}}
                    return await send(http, url, "tools/call", params, id=7)

                first = anyio.Event()

                async def place() -> None:
                    assert '"status":"busy"' in (await call()).text.replace(" ", "")
                    first.set()

                tasks.start_soon(place)
                await sandbox.wait_for_calls()
                await send(http, url, "notifications/cancelled", {"requestId": 7, "reason": "too late"})
                sandbox.end_calls()
                await first.wait()

            async with connected_agent(url, "legacy") as agent:
                again = await agent.use("make_call", CALL_TO_BUSY, redial=True, wait_seconds=0)
                calls = await sandbox.calls()
                once_more = await agent.use("make_call", CALL_TO_BUSY, redial=True, wait_seconds=0)
                await sandbox.wait_for_calls(2)

    assert again.data["placed_now"] is False  # a redial joins a call whose outcome was not delivered
    assert again.data["status"] == "busy"
    assert len(calls) == 1
    assert once_more.data["placed_now"] is True  # the outcome of the first one is delivered now


async def send(
    http: httpx2.AsyncClient, url: str, method: str, params: dict[str, Any], **further: Any
) -> httpx2.Response:
    return await http.post(f"{url}/mcp", json={"jsonrpc": "2.0", "method": method, "params": params} | further)
