"""Calls in progress at once in one server process: whether all succeed, and the memory that each takes.

    uv run python -m tests.bench.many_calls

The sandbox is in this process, the server in another, whose resident memory is read from /proc (Linux) after ten
calls, and again while all calls are in progress and a client waits for each.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
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

_WARM_UP = 10

_PLACING = 60
"""Seconds within which all calls must have been placed."""


@contextmanager
def large_plan(account_id: str) -> Iterator[None]:
    """Give an account of the sandbox a million minutes and calls a month, until the end of the block."""
    account = ACCOUNTS[account_id]
    ACCOUNTS[account_id] = replace(account, minutes_allocated=10**6, calls_allocated=10**6)
    try:
        yield
    finally:
        ACCOUNTS[account_id] = account


def _asked(number: int) -> dict[str, Any]:
    task = {"task_category": "restaurant", "task_description": "Book a table", "party_size": 4, "wait_seconds": 0}
    return task | {"respondent_phone": f"+1415555{number:04}", "user_name": "Sample Guest"}


async def _use(agents: list[Agent], tool: str, arguments: list[dict[str, Any]]) -> list[Answer]:
    """Use a tool once for each of `arguments`, all at once, spread over the agents."""
    answers: dict[int, Answer] = {}

    async def use(number: int) -> None:
        answers[number] = await agents[number % len(agents)].use(tool, arguments[number])
        assert not answers[number].is_error, answers[number].text

    async with anyio.create_task_group() as tasks:
        for number in range(len(arguments)):
            tasks.start_soon(use, number)
    return [answers[number] for number in range(len(arguments))]


def _children() -> set[int]:
    """The process ids of this process's children; empty on a system without /proc."""
    file = Path(f"/proc/self/task/{os.getpid()}/children")
    return set(map(int, file.read_text().split())) if file.exists() else set()


@asynccontextmanager
async def _over_stdio(settings: dict[str, str]) -> AsyncIterator[tuple[int, list[Agent]]]:
    """Run a server; yields its process id (0: not known) and the agent that uses it."""
    before = _children()
    parameters = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=settings)
    async with Client(stdio_client(parameters)) as client:
        yield max(_children() - before, default=0), [Agent(client)]


@asynccontextmanager
async def _over_http(settings: dict[str, str], clients: int = 20) -> AsyncIterator[tuple[int, list[Agent]]]:
    """The same with so many agents."""
    port, timeout = free_port(), httpx2.Timeout(30, read=300)
    with serving([*COMMAND, "serve", "--transport", "http", "--port", str(port)], port, settings) as process:
        async with AsyncExitStack() as stack:
            agents: list[Agent] = []
            for _ in range(clients):
                http = httpx2.AsyncClient(timeout=timeout, limits=httpx2.Limits(max_connections=None))
                url = f"http://127.0.0.1:{port}/mcp"
                one = Client(streamable_http_client(url, http_client=await stack.enter_async_context(http)))
                agents.append(Agent(await stack.enter_async_context(one)))
            yield process.pid, agents


def _placed(sandbox: Sandbox) -> list[call_table.Call]:
    """The calls that were placed after the warm-up."""
    with sandbox.store.transaction() as db:
        return call_table.all_calls(db)[_WARM_UP:]


async def _measure(transport: str, calls: int, speed: float) -> None:
    """Measure so many calls; the sandbox's `speed` is so slow that all are in progress at once."""
    sandbox: Sandbox = (app := create_app(speed=speed)).state.sandbox
    token = sandbox.issue_tokens("acct-business")["access_token"]
    ended: list[Answer] = []
    with tempfile.TemporaryDirectory() as home:
        async with running(app) as url:
            settings = environment(Path(home), API_URL=url, ACCESS_TOKEN=token, RATE_LIMIT="1000000/minute")
            async with (_over_stdio if transport == "stdio" else _over_http)(settings) as (pid, agents):
                await _use(agents, "make_call", [_asked(5000 + number) for number in range(_WARM_UP)])
                before = memory(pid, "VmRSS")
                placed = await _use(agents, "make_call", [_asked(number) for number in range(calls)])
                waits = [{"call_id": answer.data["tracking_id"], "wait_seconds": 120} for answer in placed]

                async def wait_for_all() -> None:
                    ended.extend(await _use(agents, "get_call", waits))

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(wait_for_all)
                    with anyio.fail_after(_PLACING):
                        while len(_placed(sandbox)) < calls:  # noqa: ASYNC110 - the sandbox has no event for it
                            await anyio.sleep(0.5)
                    await anyio.sleep(2)
                    each = (memory(pid, "VmRSS") - before) / calls
    recorded = _placed(sandbox)
    last = max(call.started_at for call in recorded)
    at_once = sum(call.ends_at >= last for call in recorded)
    succeeded = sum(answer.data["status"] == "success" for answer in ended)
    sandbox.close()
    assert len(recorded) == succeeded == calls, f"of {calls}, {len(recorded)} were placed and {succeeded} succeeded"
    many = f"{len(agents)} client{'' if len(agents) == 1 else 's'}"
    row(f"calls in progress at once over {transport}, {many}; all succeeded", "calls", [at_once], at_least=calls)
    row("memory for each, with a client that waits for it", "kB", [each], at_most=60)


def main() -> None:
    """Print the rows; it fails if a call was not placed, was placed twice, or did not succeed."""
    with large_plan("acct-business"):
        anyio.run(_measure, "stdio", 1 if IS_SMOKE else 200, 6.0)
        anyio.run(_measure, "/mcp", 1 if IS_SMOKE else 1000, 1.5)


if __name__ == "__main__":
    main()
