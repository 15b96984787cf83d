"""Calls in progress at once in one server process: whether all succeed, and the memory that each takes.

    uv run python -m tests.bench.many_calls [--transport stdio|http] [--calls CALLS]

The sandbox is in this process, the server in another, whose resident memory is read from /proc (Linux) after ten
calls, and again while all calls are in progress and a client waits for each.
"""

import argparse
import os
import tempfile
import time
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
from tests.bench.table import row
from tests.processes import COMMAND, environment, free_port

TRANSPORTS = {"stdio": ("stdio", 200, 1, 6.0), "http": ("/mcp", 1000, 20, 1.5)}
"""The name, the calls, the clients, and the sandbox's speed, so slow that all calls are in progress at once."""

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


def _children() -> set[int]:
    """The process ids of this process's children; empty on a system without /proc."""
    stats = [stat.read_text().rpartition(")") for stat in Path("/proc").glob("[0-9]*/stat")]
    return {int(id_.split()[0]) for id_, _, rest in stats if int(rest.split()[1]) == os.getpid()}


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


@asynccontextmanager
async def _server(transport: str, settings: dict[str, str]) -> AsyncIterator[tuple[int, list[Agent]]]:
    """Run a server; yields its process id (0: not known) and the agents that use it."""
    if transport == "stdio":
        before = _children()
        parameters = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=settings)
        async with Client(stdio_client(parameters)) as client:
            yield max(_children() - before, default=0), [Agent(client)]
        return
    port = free_port()
    command = [*COMMAND, "serve", "--transport", "http", "--port", str(port)]
    with serving(command, port, settings) as process:
        async with AsyncExitStack() as stack:
            _, _, clients, _ = TRANSPORTS[transport]
            yield process.pid, [await stack.enter_async_context(_agent(port)) for _ in range(clients)]


@asynccontextmanager
async def _agent(port: int) -> AsyncIterator[Agent]:
    unlimited = httpx2.Limits(max_connections=None)
    async with (
        httpx2.AsyncClient(timeout=httpx2.Timeout(30, read=300), limits=unlimited) as http,
        Client(streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)) as client,
    ):
        yield Agent(client)


def _placed(sandbox: Sandbox) -> list[call_table.Call]:
    """The calls that were placed after the warm-up."""
    with sandbox.store.transaction() as db:
        return call_table.all_calls(db)[_WARM_UP:]


async def _measure(transport: str, calls: int) -> None:
    name, goal, clients, speed = TRANSPORTS[transport]
    app = create_app(speed=speed)
    sandbox: Sandbox = app.state.sandbox
    token = sandbox.issue_tokens("acct-business")["access_token"]
    ended: list[Answer] = []
    with tempfile.TemporaryDirectory() as home:
        async with running(app) as url:
            settings = environment(Path(home), API_URL=url, ACCESS_TOKEN=token, RATE_LIMIT="1000000/minute")
            async with _server(transport, settings) as (pid, agents):
                await _use(agents, "make_call", [_asked(5000 + number) for number in range(_WARM_UP)])
                before, began = memory(pid, "VmRSS"), time.perf_counter()
                placed = await _use(agents, "make_call", [_asked(number) for number in range(calls)])
                seconds = time.perf_counter() - began
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
    what = f"calls in progress at once over {name}, {clients} client{'' if clients == 1 else 's'}; all succeeded"
    row(what, "calls", [at_once], at_least=min(goal, calls))
    row("until make_call had answered for all", "s", [seconds])
    row("memory for each, with a client that waits for it", "kB", [each], at_most=60)


def main() -> None:
    """Print the rows; it fails if a call was not placed, was placed twice, or did not succeed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--transport", choices=list(TRANSPORTS), default="stdio")
    parser.add_argument("--calls", type=int)
    options = parser.parse_args()
    with large_plan("acct-business"):
        anyio.run(_measure, options.transport, options.calls or TRANSPORTS[options.transport][1])


if __name__ == "__main__":
    main()
