"""Calls in progress at once in one server process: whether all succeed, and the memory that each takes.

    uv run python -m tests.bench.many_calls [--transport stdio|http|sse] [--calls CALLS]

The sandbox is in this process, the server in another, whose resident memory is read from /proc (Linux) after ten
calls, and again while all calls are in progress and a client waits for each. The sandbox records when each call began
and ended, which shows how many were in progress at once.
"""

import argparse
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import anyio
import httpx2
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.sandbox.state import Sandbox
from tests.agent import Agent, Answer
from tests.bench.large_plan import large_plan
from tests.bench.servers import free_ports, memory, serving
from tests.bench.table import Row, Target, command
from tests.processes import COMMAND, environment

SPEEDS = {"stdio": 6.0, "http": 2.5, "sse": 6.0}
"""The sandbox's speed, relative to real time: slow enough that all calls are in progress at once."""

CALLS = {"stdio": 200, "http": 1000, "sse": 200}
"""The number of calls, which is the target."""

CLIENTS = {"stdio": 1, "http": 20, "sse": 20}
"""How many clients place the calls."""

NAMES = {"stdio": "stdio", "http": "/mcp", "sse": "/sse"}

_WARM_UP = 10

_PLACING = 60
"""Seconds within which all calls must have been placed."""


def _arguments(number: int) -> dict[str, object]:
    return {
        "task_category": "restaurant",
        "task_description": "Book a table",
        "respondent_phone": f"+1415555{number:04}",
        "user_name": "Sample Guest",
        "party_size": 4,
    }


def _children() -> set[int]:
    """The process ids of this process's children; empty on a system without /proc."""
    me = os.getpid()
    return {
        int(stat.parent.name)
        for stat in Path("/proc").glob("[0-9]*/stat")
        if int(stat.read_text().rpartition(")")[2].split()[1]) == me
    }


def _placed(sandbox: Sandbox) -> list[call_table.Call]:
    """The calls that were placed after the warm-up."""
    with sandbox.store.transaction() as db:
        return call_table.all_calls(db)[_WARM_UP:]


def _most_at_once(calls: list[call_table.Call]) -> int:
    changes = sorted([(call.started_at, 1) for call in calls] + [(call.ends_at, -1) for call in calls])
    return max(accumulate(change for _, change in changes), default=0)


@dataclass
class _Server:
    """A server process, with `pid` None if that is not known, and the agents that use it."""

    pid: int | None
    agents: list[Agent]

    def resident(self) -> int | None:
        """The server's resident memory in kB; None on a system without /proc."""
        return memory(self.pid, "VmRSS") if self.pid is not None else None

    async def use(self, tool: str, arguments: list[dict[str, object]]) -> list[Answer]:
        """Use a tool once for each of `arguments`, all at once, spread over the agents.

        Raises:
            RuntimeError: An answer is an error.
        """
        answers: dict[int, Answer] = {}

        async def use(number: int, given: dict[str, object]) -> None:
            answer = await self.agents[number % len(self.agents)].use(tool, given)
            if answer.is_error:
                raise RuntimeError(f"{tool} {given}: {answer.text}")
            answers[number] = answer

        async with anyio.create_task_group() as tasks:
            for number, given in enumerate(arguments):
                tasks.start_soon(use, number, given)
        return [answers[number] for number in range(len(arguments))]


@asynccontextmanager
async def _over_stdio(settings: dict[str, str]) -> AsyncIterator[_Server]:
    before_start = _children()
    parameters = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=settings)
    async with Client(stdio_client(parameters)) as client:
        started = _children() - before_start
        yield _Server(next(iter(started), None), [Agent(client)])


@asynccontextmanager
async def _over_http(settings: dict[str, str], transport: str) -> AsyncIterator[_Server]:
    (port,) = free_ports(1)
    command = [*COMMAND, "serve", "--transport", "http", "--port", str(port)]
    with serving(command, port, settings) as process:
        async with AsyncExitStack() as stack:
            agents = [await stack.enter_async_context(_agent(port, transport)) for _ in range(CLIENTS[transport])]
            yield _Server(process.pid, agents)


@asynccontextmanager
async def _agent(port: int, transport: str) -> AsyncIterator[Agent]:
    if transport == "sse":
        async with Client(sse_client(f"http://127.0.0.1:{port}/sse")) as client:
            yield Agent(client)
        return
    unlimited = httpx2.Limits(max_connections=None)
    async with (
        httpx2.AsyncClient(timeout=httpx2.Timeout(30, read=300), limits=unlimited) as http,
        Client(streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)) as client,
    ):
        yield Agent(client)


@dataclass(frozen=True)
class _Result:
    """What was measured.

    Attributes:
        seconds: Until `make_call` had answered for all calls.
        at_once: How many calls were in progress at once.
        memory: Kilobytes for each call; None if not known.
    """

    seconds: float
    at_once: int
    memory: float | None


async def _place_all(server: _Server, sandbox: Sandbox, calls: int) -> _Result:
    at_once = {"wait_seconds": 0}
    await server.use("make_call", [_arguments(5000 + number) | at_once for number in range(_WARM_UP)])
    before = server.resident()
    started = time.perf_counter()
    placed = await server.use("make_call", [_arguments(number) | at_once for number in range(calls)])
    seconds = time.perf_counter() - started
    lookups = [{"call_id": answer.data["tracking_id"], "wait_seconds": 120} for answer in placed]
    ended: list[Answer] = []

    async def wait_for_all() -> None:
        ended.extend(await server.use("get_call", lookups))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait_for_all)
        with anyio.fail_after(_PLACING):
            while len(_placed(sandbox)) < calls:  # noqa: ASYNC110 - the sandbox has no event for it
                await anyio.sleep(0.5)
        await anyio.sleep(2)
        during = server.resident()
    succeeded = sum(answer.data["status"] == "success" for answer in ended)
    recorded = _placed(sandbox)
    if not len(recorded) == succeeded == calls:
        raise RuntimeError(f"of {calls} calls, {len(recorded)} were placed and {succeeded} succeeded")
    return _Result(seconds, _most_at_once(recorded), (during - before) / calls if during and before else None)


async def _measure(transport: str, calls: int) -> _Result:
    app = create_app(speed=SPEEDS[transport])
    sandbox: Sandbox = app.state.sandbox
    token = sandbox.issue_tokens("acct-business")["access_token"]
    with tempfile.TemporaryDirectory() as home:
        async with running(app) as url:
            settings = environment(Path(home), API_URL=url, ACCESS_TOKEN=token, RATE_LIMIT="1000000/minute")
            open_ = _over_stdio(settings) if transport == "stdio" else _over_http(settings, transport)
            async with open_ as server:
                result = await _place_all(server, sandbox, calls)
    sandbox.close()
    return result


def rows(transport: str, calls: int) -> list[Row]:
    """Place calls and measure.

    Args:
        transport: One of `CALLS`.
        calls: How many.

    Raises:
        RuntimeError: A call was not placed, was placed twice, or did not succeed.
    """
    with large_plan("acct-business"):
        result = anyio.run(_measure, transport, calls)
    clients = CLIENTS[transport]
    by = f"over {NAMES[transport]}, {clients} client{'' if clients == 1 else 's'}"
    target = Target("at least", CALLS[transport], "figure") if calls >= CALLS[transport] else None
    reason = "only Linux has /proc" if result.memory is None else ""
    return [
        Row(f"calls in progress at once {by}; all succeeded", result.at_once, "calls", target=target),
        Row("until make_call had answered for all", result.seconds, "s"),
        Row("memory for each, with a client that waits for it", result.memory, "kB", reason=reason),
    ]


def main() -> None:
    """Print the table; exit code 1 if any call failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--transport", choices=list(CALLS), default="stdio")
    parser.add_argument("--calls", type=int)
    command(
        "many_calls",
        parser,
        lambda options: rows(options.transport, options.calls or CALLS[options.transport]),
    )


if __name__ == "__main__":
    main()
