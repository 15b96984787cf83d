"""How many phone calls per second the sandbox places over HTTP, at its highest speed.

    uv run python -m tests.bench.sandbox_calls [--calls CALLS]

The sandbox, in memory, and its 16 clients share this process.
"""

import argparse
import statistics
import time

import anyio
import httpx2

from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.serve import running
from tests.bench.large_plan import large_plan
from tests.bench.table import Row, command

CLIENTS = 16
ROUNDS = 3


async def _round(url: str, token: str, calls: int, first: int) -> float:
    """Place `calls` calls; returns calls per second."""
    numbers = iter(range(first, first + calls))
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=60) as client:

        async def place_calls() -> None:
            for number in numbers:
                submission = {
                    "task_category": "general",
                    "task_description": f"Ask for the opening hours, {number}",
                    "respondent_phone": f"+1415555{number % 10000:04}",
                }
                (await client.post("/v1/calls", json={"submission": submission, "timezone": "UTC"})).raise_for_status()

        started = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for _ in range(CLIENTS):
                tasks.start_soon(place_calls)
        return calls / (time.perf_counter() - started)


async def _measure(calls: int) -> float:
    app = create_app(speed=1_000_000)
    token: str = app.state.sandbox.issue_tokens("acct-business")["access_token"]
    async with running(app) as url:
        rates = [await _round(url, token, calls, calls * n) for n in range(ROUNDS)]
    app.state.sandbox.close()
    return statistics.median(rates)


def rows(calls: int) -> list[Row]:
    """The median rate over `ROUNDS` rounds of `calls` calls."""
    with large_plan("acct-business"):
        rate = anyio.run(_measure, calls)
    return [Row(f"phone calls that the sandbox places for {CLIENTS} clients", rate, "calls/s")]


def main() -> None:
    """Print the figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=200)
    command("sandbox_calls", parser, lambda options: rows(options.calls))


if __name__ == "__main__":
    main()
