"""Over `/mcp` (2026-07-28): `check_quota`, compared with a bare `MCPServer`, with many clients, and with two workers.

    uv run python -m tests.bench.over_http [--seconds SECONDS] [--rounds ROUNDS]

Each server is a process of its own, and so is the KallyAI behind them, which answers at once (`upstream.py`). The bare
server makes the same two API requests with a default `httpx2.AsyncClient`, or none. The servers are measured in turn
in each round. PostgreSQL runs on this machine, with `fsync` on, and is left out where it is not installed.
"""

import argparse
import asyncio
import itertools
import os
import secrets
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.bench.load import Load, request
from tests.bench.servers import serving, upstream
from tests.bench.table import not_measured, row
from tests.postgres_server import NO_SERVER, PostgresServer, has_server
from tests.processes import COMMAND, environment, free_port
from tests.transports.workers import workers_command

MANY, MOST = 32, 128
"""How many clients use a server at once."""

_SECRET = "a-secret-of-the-bench"
_SAME = "a bare MCPServer, the same two API requests"
_NO_REQUEST = "a bare MCPServer, no API request"


class Measured:
    """A server, and the rates and milliseconds of each round, by number of clients; `slow`: of the slow requests."""

    def __init__(
        self, port: int, tool: str = "check_quota", bearer: str = "", clients: Sequence[int] = (MANY,)
    ) -> None:
        self._port = port
        self._clients = clients
        self._messages = itertools.repeat(request(port, tool, {}, bearer))
        self.rates = defaultdict[int, list[float]](list)
        self.times = defaultdict[int, list[float]](list)
        self.slow = defaultdict[int, list[float]](list)

    async def measure(self, seconds: float, *, counts: bool) -> None:
        """Put it under each load once; the first round does not count, because it warms up."""
        for clients in self._clients:
            load = await Load.run(self._port, self._messages, clients, seconds)
            if counts:
                self.rates[clients].append(load.rate)
                self.times[clients].append(load.milliseconds)
                self.slow[clients].append(load.slow)


async def _measure(servers: list[Measured], rounds: int, seconds: float) -> None:
    for number in range(rounds + 1):
        for server in servers:
            await server.measure(seconds, counts=number > 0)


def main() -> None:
    """Print the rows; a response that is an error ends it with exit code 1."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    bare_port, our_port, one_port, two_port = (free_port() for _ in range(4))
    with tempfile.TemporaryDirectory() as home, upstream() as url, ExitStack() as running:
        settings = environment(Path(home), API_URL=url, ACCESS_TOKEN="a-token", RATE_LIMIT="1000000/minute")
        bare = [sys.executable, "-m", "tests.bench.bare", str(bare_port), url]
        running.enter_context(serving(bare, bare_port, dict(os.environ)))
        serve = [*COMMAND, "serve", "--transport", "http", "--port", str(our_port)]
        running.enter_context(serving(serve, our_port, settings))
        servers = [
            Measured(bare_port, clients=(1, MANY)),
            Measured(bare_port, "without_request"),
            Measured(our_port, clients=(1, MANY, MOST)),
        ]
        if has_server():
            database = running.enter_context(PostgresServer()).url()
            settings |= {"KALLYAI_DATABASE_URL": database, "KALLYAI_SECRET_KEYS": secrets.token_hex(32)}
            settings |= {"KALLYAI_AUTH": "secret", "KALLYAI_MCP_TOKEN": _SECRET}
            for count, port in ((1, one_port), (2, two_port)):
                running.enter_context(serving(workers_command(port, count), port, settings))
                servers.append(Measured(port, bearer=_SECRET))
        asyncio.run(_measure(servers, options.rounds, options.seconds))
    same, without_request, ours, *workers = servers
    row("check_quota over /mcp, one client, not the first call", "ms", ours.times[1], same.times[1], _SAME)
    what = f"check_quota over /mcp, {MANY} clients"
    row(what, "requests a second", ours.rates[MANY], same.rates[MANY], _SAME, at_least=1.5)
    row("the same", "requests a second", ours.rates[MANY], without_request.rates[MANY], _NO_REQUEST, at_least=0.45)
    row(f"check_quota over /mcp, {MOST} clients: 99 of 100 within", "ms", ours.slow[MOST], at_most=500)
    if workers:
        one, two = workers
        what = "two workers with one PostgreSQL database"
        row(what, "requests a second", two.rates[MANY], one.rates[MANY], "one worker")
    else:
        not_measured("workers with PostgreSQL", NO_SERVER)


if __name__ == "__main__":
    main()
