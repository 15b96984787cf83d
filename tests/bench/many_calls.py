"""Calls in progress at once in one server process: whether all succeed, and the memory that each
takes.

    uv run python -m tests.bench.many_calls

The sandbox is in this process, the server in another, whose resident memory is read from /proc
(Linux) after ten calls, and again while all calls are in progress and the client waits for each,
over `/mcp`.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.accounts import ACCOUNTS
from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.sandbox.state import Sandbox
from tests.agent import Agent, Answer
from tests.bench.servers import memory, serving
from tests.bench.table import IS_SMOKE, row
from tests.processes import COMMAND, environment, free_port

_WARM_UP, _CALLS = 10, 1 if IS_SMOKE else 1000

_PLACING = 60
"""Seconds within which all calls must have been placed."""


@contextmanager
def large_plan(account_id: str) -> Iterator[None]:
    """Give an account of the sandbox a million minutes and calls a month, until the end of the
    block.
    """
    account = ACCOUNTS[account_id]
    ACCOUNTS[account_id] = replace(account, minutes_allocated=10**6, calls_allocated=10**6)
    try:
        yield
    finally:
        ACCOUNTS[account_id] = account


def _asked(number: int) -> dict[str, Any]:
    task = {
        "task_category": "restaurant",
        "task_description": "Book a table",
        "party_size": 4,
        "wait_seconds": 0,
    }
    return task | {"respondent_phone": f"+1415555{number:04}", "user_name": "Sample Guest"}


async def _use(agent: Agent, tool: str, arguments: list[dict[str, Any]]) -> list[Answer]:
    """Use a tool once for each of `arguments`, all at once."""
    answers = await asyncio.gather(*(agent.use(tool, each) for each in arguments))
    assert not any(answer.is_error for answer in answers)
    return answers


def _placed(sandbox: Sandbox) -> list[call_table.Call]:
    """The calls that were placed after the warm-up."""
    with sandbox.store.transaction() as db:
        return call_table.all_calls(db)[_WARM_UP:]


async def _placed_at_once(agent: Agent, sandbox: Sandbox, pid: int) -> tuple[float, list[Answer]]:
    """Place the calls, and wait for them; returns the memory that each took meanwhile in kB, and
    the outcomes.
    """
    await _use(agent, "make_call", [_asked(5000 + number) for number in range(_WARM_UP)])
    before = memory(pid, "VmRSS")
    placed = await _use(agent, "make_call", [_asked(number) for number in range(_CALLS)])
    waits = [{"call_id": answer.data["tracking_id"], "wait_seconds": 120} for answer in placed]
    ended = asyncio.create_task(_use(agent, "get_call", waits))
    async with asyncio.timeout(_PLACING):
        while len(_placed(sandbox)) < _CALLS:  # noqa: ASYNC110 - the sandbox has no event for it
            await asyncio.sleep(0.5)
    await asyncio.sleep(2)
    return (memory(pid, "VmRSS") - before) / _CALLS, await ended


async def _measure() -> None:
    """Print the rows; the sandbox is so slow that all calls are in progress at once."""
    sandbox: Sandbox = (app := create_app(speed=1)).state.sandbox
    token, port = sandbox.issue_tokens("acct-business")["access_token"], free_port()
    http = httpx2.AsyncClient(
        timeout=httpx2.Timeout(30, read=300), limits=httpx2.Limits(max_connections=None)
    )
    with tempfile.TemporaryDirectory() as home:
        async with running(app) as url, http:
            settings = environment(
                Path(home), API_URL=url, ACCESS_TOKEN=token, RATE_LIMIT="1000000/minute"
            )
            serve = [*COMMAND, "serve", "--transport", "http", "--port", str(port)]
            with serving(serve, port, settings) as process:
                async with Client(
                    streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)
                ) as client:
                    each, ended = await _placed_at_once(Agent(client), sandbox, process.pid)
    recorded = _placed(sandbox)
    last = max(call.started_at for call in recorded)
    at_once = sum(call.ends_at >= last for call in recorded)
    succeeded = sum(answer.data["status"] == "success" for answer in ended)
    sandbox.close()
    assert len(recorded) == succeeded == _CALLS, (
        f"{len(recorded)} were placed and {succeeded} succeeded"
    )
    row("calls in progress at once over /mcp; all succeeded", "calls", [at_once], at_least=_CALLS)
    row("memory for each, with a client that waits for it", "kB", [each], at_most=60)


def main() -> None:
    """Print the rows; it fails if a call was not placed, was placed twice, or did not succeed."""
    with large_plan("acct-business"):
        asyncio.run(_measure())


if __name__ == "__main__":
    main()
