"""`check_quota` over `/mcp` (2026-07-28): requests per second and their duration, compared with a bare `MCPServer`.

    uv run python -m tests.bench.over_http [--seconds SECONDS] [--rounds ROUNDS]

Each server is a process of its own, and so is the KallyAI behind them, which answers at once (`upstream.py`). The bare
server makes the same HTTP call with a default `httpx2.AsyncClient`, or none, which is the upper limit. The servers are
measured in turn in each round. The comparison of one worker with two needs a PostgreSQL server.
"""

import argparse
import asyncio
import os
import secrets
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from tests.bench.load import Load, request
from tests.bench.servers import SECRET, free_ports, processor_seconds, serving, upstream, workers_command
from tests.bench.table import not_measured, row
from tests.postgres_server import NO_SERVER, PostgresServer, has_server
from tests.processes import COMMAND, environment

_SAME = "a bare MCPServer, the same request"


class Measured:
    """A server, and the rates, milliseconds, and processor milliseconds for a request in each round, by clients."""

    def __init__(self, port: int, pid: int, tool: str = "check_quota", bearer: str = "") -> None:
        self._request = request(port, tool, {"text": "hello"} if tool == "echo" else {}, bearer)
        self._port, self._pid = port, pid
        self.rates = defaultdict[int, list[float]](list)
        self.times = defaultdict[int, list[float]](list)
        self.processor = defaultdict[int, list[float]](list)

    async def measure(self, clients: int, seconds: float) -> None:
        """Put it under load once."""
        before = processor_seconds(self._pid)
        load = await Load.run(self._port, self._request, clients, seconds)
        self.rates[clients].append(load.rate)
        self.times[clients].append(load.milliseconds)
        self.processor[clients].append((processor_seconds(self._pid) - before) / load.count * 1000)


async def _measure(servers: list[Measured], workers: list[Measured], rounds: int, seconds: float) -> None:
    for server in (*servers, *workers):  # warm up
        await server.measure(3, min(1, seconds))
    for _ in range(rounds):
        for clients in (1, 32, 256):
            for server in (*servers, *(workers if clients == 32 else ())):
                await server.measure(clients, seconds)


def main() -> None:
    """Print the rows; a response that is an error ends it with exit code 1."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    bare_port, our_port, one_port, two_port = free_ports(4)
    with tempfile.TemporaryDirectory() as home, upstream() as url, ExitStack() as running:
        bare = [sys.executable, "-m", "tests.bench.bare", str(bare_port), url]
        serve = [*COMMAND, "serve", "--transport", "http", "--port", str(our_port)]
        settings = environment(Path(home), API_URL=url, ACCESS_TOKEN="a-token", RATE_LIMIT="1000000/minute")
        bare_pid = running.enter_context(serving(bare, bare_port, dict(os.environ))).pid
        ours = Measured(our_port, running.enter_context(serving(serve, our_port, settings)).pid)
        same, none = Measured(bare_port, bare_pid), Measured(bare_port, bare_pid, "echo")
        workers: list[Measured] = []
        if has_server():
            database = running.enter_context(PostgresServer()).url()
            shared = {"KALLYAI_DATABASE_URL": database, "KALLYAI_SECRET_KEYS": secrets.token_hex(32)}
            secret = {"KALLYAI_AUTH": "secret", "KALLYAI_MCP_TOKEN": SECRET}
            for count, port in ((1, one_port), (2, two_port)):
                command = workers_command(count, port)
                pid = running.enter_context(serving(command, port, settings | shared | secret)).pid
                workers.append(Measured(port, pid, bearer=SECRET))
        asyncio.run(_measure([none, same, ours], workers, options.rounds, options.seconds))
    row("check_quota over /mcp, one client, not the first call", "ms", ours.times[1], same.times[1], _SAME)
    for clients, goal in ((32, 1.5), (256, None)):
        what = f"check_quota over /mcp, {clients} clients"
        row(what, "requests a second", ours.rates[clients], same.rates[clients], _SAME, at_least=goal)
    row(
        "the same with 32 clients, processor time for each request", "ms", ours.processor[32], same.processor[32], _SAME
    )
    row("the same, its rate", "requests a second", ours.rates[32], none.rates[32], "no API request", at_least=0.45)
    if workers:
        one, two = (worker.rates[32] for worker in workers)
        row("two workers with one PostgreSQL database", "requests a second", two, one, "one worker")
    else:
        not_measured("two workers with one PostgreSQL database", NO_SERVER)


if __name__ == "__main__":
    main()
