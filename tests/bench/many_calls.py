"""Calls under way at once in one server process: do all succeed, and what does each cost in memory?

    uv run python -m tests.bench.many_calls [--transport stdio|http|sse] [--calls CALLS]

The sandbox is in this process; the server is a process of its own, whose resident memory is read from /proc (Linux)
after a warm-up of ten calls, and again while all calls are under way and a client waits for each.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import httpx2
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from kallyai_mcp.sandbox.accounts import ACCOUNTS
from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.serve import running
from tests.bench.measured import free_ports, serving
from tests.processes import COMMAND, environment
from tests.telephone import Agent, Answer

SPEEDS = {"stdio": 4.0, "http": 2.0, "sse": 4.0}
"""How much shorter than real the sandbox's calls are: as long as is needed for all to be under way at once."""

CALLS = {"stdio": 200, "http": 1000, "sse": 200}

CLIENTS = {"stdio": 1, "http": 20, "sse": 20}
"""Among how many clients the calls are shared out."""

_WARM_UP = 10


def _arguments(number: int) -> dict[str, object]:
    return {
        "task_category": "restaurant",
        "task_description": "Book a table",
        "respondent_phone": f"+1415555{number:04}",
        "user_name": "Sample Guest",
        "party_size": 4,
    }


def _children() -> set[int]:
    me = os.getpid()
    return {
        int(stat.parent.name)
        for stat in Path("/proc").glob("[0-9]*/stat")
        if int(stat.read_text().rpartition(")")[2].split()[1]) == me
    }


def _resident(pid: int) -> int:
    """Resident memory in kB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


@dataclass
class _Telephones:
    """Agents at one server process."""

    pid: int
    agents: list[Agent]

    async def use(self, tool: str, arguments: list[dict[str, object]]) -> list[Answer]:
        """Use a tool once for each of `arguments`, all at once, by the agents in turn."""
        answers: dict[int, Answer] = {}

        async def use(number: int, given: dict[str, object]) -> None:
            answers[number] = await self.agents[number % len(self.agents)].use(tool, given)

        async with anyio.create_task_group() as tasks:
            for number, given in enumerate(arguments):
                tasks.start_soon(use, number, given)
        return [answers[number] for number in range(len(arguments))]


@asynccontextmanager
async def _over_stdio(settings: dict[str, str]) -> AsyncIterator[_Telephones]:
    before_start = _children()
    server = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=settings)
    async with Client(stdio_client(server)) as client:
        (pid,) = _children() - before_start
        yield _Telephones(pid, [Agent(client)])


@asynccontextmanager
async def _over_http(settings: dict[str, str], transport: str) -> AsyncIterator[_Telephones]:
    (port,) = free_ports(1)
    command = [*COMMAND, "serve", "--transport", "http", "--port", str(port)]
    with serving(command, port, settings) as process:
        async with AsyncExitStack() as stack:
            agents = [await stack.enter_async_context(_agent(port, transport)) for _ in range(CLIENTS[transport])]
            yield _Telephones(process.pid, agents)


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


async def _measure(transport: str, calls: int) -> None:
    ACCOUNTS["acct-business"] = replace(ACCOUNTS["acct-business"], minutes_allocated=10**6, calls_allocated=10**6)
    app = create_app(speed=SPEEDS[transport])
    token = app.state.sandbox.issue_tokens("acct-business")["access_token"]
    with tempfile.TemporaryDirectory() as home:
        async with running(app) as url:
            settings = environment(Path(home), API_URL=url, ACCESS_TOKEN=token, RATE_LIMIT="1000000/minute")
            open_ = _over_stdio(settings) if transport == "stdio" else _over_http(settings, transport)
            async with open_ as telephones:
                await telephones.use("make_call", [_arguments(5000 + n) | {"wait_seconds": 0} for n in range(_WARM_UP)])
                before = _resident(telephones.pid)
                started = time.perf_counter()
                placed = await telephones.use("make_call", [_arguments(n) | {"wait_seconds": 0} for n in range(calls)])
                seconds = time.perf_counter() - started
                looked_up = [{"call_id": answer.data["tracking_id"], "wait_seconds": 120} for answer in placed]
                now = [{**looked_up[0], "wait_seconds": 0}]
                under_way = sum(answer.data.get("status") == "in_progress" for answer in placed)
                first_goes_on = (await telephones.use("get_call", now))[0].data["status"] == "in_progress"
                ended: list[Answer] = []
                during = 0

                async def wait_for_all() -> None:
                    ended.extend(await telephones.use("get_call", looked_up))

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(wait_for_all)
                    await anyio.sleep(3)
                    during = _resident(telephones.pid)
                succeeded = sum(answer.data.get("status") == "success" for answer in ended)
                listed = (await telephones.use("list_calls", [{"limit": 1}]))[0]
                at_the_service = listed.data["total"] - _WARM_UP
    app.state.sandbox.close()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, one server process, {transport}")
    print(f"asked for at once   {calls} by {CLIENTS[transport]} client(s), all answered in {seconds:.1f} s")
    print(f"under way at once   {under_way}{'' if first_goes_on else ', but the first had ended by then'}")
    print(f"placed / succeeded  {at_the_service} / {succeeded}")
    print(f"memory a call       {(during - before) / calls:.1f} kB, its client waiting ({before / 1024:.1f} MB before)")
    if not (first_goes_on and under_way == at_the_service == succeeded == calls):
        raise SystemExit(1)


def main() -> None:
    """Print the table; exit code 1 if any call failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--transport", choices=list(CALLS), default="stdio")
    parser.add_argument("--calls", type=int)
    options = parser.parse_args()
    anyio.run(_measure, options.transport, options.calls or CALLS[options.transport])


if __name__ == "__main__":
    main()
