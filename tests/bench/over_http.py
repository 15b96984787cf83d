"""`check_quota` over `/mcp` (2026-07-28): requests per second and their duration, compared with a bare `MCPServer`.

    uv run python -m tests.bench.over_http [--seconds SECONDS] [--rounds ROUNDS]

Each server is a process of its own, and so is the KallyAI behind them, which answers at once (`upstream.py`). The bare
server makes the same HTTP call with a default `httpx2.AsyncClient`. The servers are measured in turn in each round. The
comparison of one worker with two needs a PostgreSQL server.
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
from tests.bench.servers import SECRET, free_ports, serving, upstream, workers_command
from tests.bench.table import not_measured, row
from tests.postgres_server import NO_SERVER, PostgresServer, has_server
from tests.processes import COMMAND, environment

MANY = 32

_SAME = "a bare MCPServer, the same request"


class Measured:
    """A server, and the rates and milliseconds of each round, by number of clients."""

    def __init__(self, port: int, bearer: str = "") -> None:
        self._port = port
        self._request = request(port, "check_quota", {}, bearer)
        self.rates = defaultdict[int, list[float]](list)
        self.times = defaultdict[int, list[float]](list)

    async def measure(self, clients: int, seconds: float) -> None:
        """Put it under load once."""
        load = await Load.run(self._port, self._request, clients, seconds)
        self.rates[clients].append(load.rate)
        self.times[clients].append(load.milliseconds)


async def _measure(servers: list[Measured], workers: list[Measured], rounds: int, seconds: float) -> None:
    for server in (*servers, *workers):  # warm up
        await server.measure(3, min(1, seconds))
    for _ in range(rounds):
        for clients in (1, MANY):
            for server in (*servers, *(workers if clients == MANY else ())):
                await server.measure(clients, seconds)


def main() -> None:
    """Print the rows; a response that is an error ends it with exit code 1."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    bare_port, our_port, one_port, two_port = free_ports(4)
    with tempfile.TemporaryDirectory() as home, upstream() as url, ExitStack() as running:
        settings = environment(Path(home), API_URL=url, ACCESS_TOKEN="a-token", RATE_LIMIT="1000000/minute")
        bare = [sys.executable, "-m", "tests.bench.bare", str(bare_port), url]
        running.enter_context(serving(bare, bare_port, dict(os.environ)))
        serve = [*COMMAND, "serve", "--transport", "http", "--port", str(our_port)]
        running.enter_context(serving(serve, our_port, settings))
        same, ours = Measured(bare_port), Measured(our_port)
        workers: list[Measured] = []
        if has_server():
            database = running.enter_context(PostgresServer()).url()
            settings |= {"KALLYAI_DATABASE_URL": database, "KALLYAI_SECRET_KEYS": secrets.token_hex(32)}
            settings |= {"KALLYAI_AUTH": "secret", "KALLYAI_MCP_TOKEN": SECRET}
            for count, port in ((1, one_port), (2, two_port)):
                running.enter_context(serving(workers_command(count, port), port, settings))
                workers.append(Measured(port, SECRET))
        asyncio.run(_measure([same, ours], workers, options.rounds, options.seconds))
    row("check_quota over /mcp, one client, not the first call", "ms", ours.times[1], same.times[1], _SAME)
    what = f"check_quota over /mcp, {MANY} clients"
    row(what, "requests a second", ours.rates[MANY], same.rates[MANY], _SAME, at_least=1.5)
    if workers:
        one, two = (worker.rates[MANY] for worker in workers)
        row("two workers with one PostgreSQL database", "requests a second", two, one, "one worker")
    else:
        not_measured("two workers with one PostgreSQL database", NO_SERVER)


if __name__ == "__main__":
    main()
