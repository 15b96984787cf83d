"""Calls under way at once in one server process over stdio: do all succeed, and what does each cost in memory?

    uv run python -m tests.bench.many_calls [CALLS]

The sandbox is in this process; the server is a process of its own, whose resident memory is read from /proc (Linux)
after a warm-up of ten calls and again while all calls are under way.
"""

import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.serve import running
from tests.processes import COMMAND, environment
from tests.telephone import Agent, Answer

SPEED = 4
"""A call of a minute lasts a quarter of it: long enough that all are under way at once."""

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


async def _place_all(agent: Agent, numbers: range, wait_seconds: float) -> list[Answer]:
    answers: list[Answer] = []

    async def place(number: int) -> None:
        answers.append(await agent.use("make_call", _arguments(number), wait_seconds=wait_seconds))

    async with anyio.create_task_group() as tasks:
        for number in numbers:
            tasks.start_soon(place, number)
    return answers


async def _measure(calls: int) -> None:
    app = create_app(speed=SPEED)
    token = app.state.sandbox.issue_tokens("acct-business")["access_token"]
    with tempfile.TemporaryDirectory() as home:
        async with running(app) as url:
            server = StdioServerParameters(
                command=COMMAND[0],
                args=COMMAND[1:],
                env=environment(Path(home), API_URL=url, ACCESS_TOKEN=token),
            )
            before_start = _children()
            async with Client(stdio_client(server)) as client:
                (pid,) = _children() - before_start
                agent = Agent(client)
                await _place_all(agent, range(5000, 5000 + _WARM_UP), 60)
                before = _resident(pid)
                started = time.perf_counter()
                placed = await _place_all(agent, range(calls), 0)
                seconds = time.perf_counter() - started
                under_way = sum(answer.data.get("status") == "in_progress" for answer in placed)
                during = _resident(pid)
                succeeded = 0
                for answer in placed:
                    ended = await agent.use("get_call", call_id=answer.data["tracking_id"], wait_seconds=120)
                    succeeded += ended.data.get("status") == "success"
                at_the_service = (await agent.use("list_calls", limit=1)).data["total"] - _WARM_UP
    app.state.sandbox.close()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, one server process over stdio")
    print(f"asked for at once   {calls}, all answered in {seconds:.1f} s")
    print(f"under way at once   {under_way}")
    print(f"placed / succeeded  {at_the_service} / {succeeded}")
    print(f"memory a call       {(during - before) / calls:.1f} kB ({before / 1024:.1f} MB before)")
    if not (under_way == at_the_service == succeeded == calls):
        raise SystemExit(1)


def main() -> None:
    """Print the table; exit code 1 if any call failed."""
    anyio.run(_measure, int(sys.argv[1]) if len(sys.argv) > 1 else 200)


if __name__ == "__main__":
    main()
