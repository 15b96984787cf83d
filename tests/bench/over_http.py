"""`check_quota` over `/mcp` (2026-07-28): requests per second and their duration, compared with a bare `MCPServer`.

    uv run python -m tests.bench.over_http [--seconds SECONDS] [--rounds ROUNDS]

Each server is a process of its own, and so is the KallyAI behind them, which answers at once (`upstream.py`). The bare
server makes the same HTTP call with a default `httpx2.AsyncClient`, or none, which is the upper limit. The load comes
from this process over plain sockets, because a client library takes more time than the servers. The servers are
measured in turn in each round. A figure is the median of its rounds, a ratio the median of their ratios. The comparison
of one worker with two needs a PostgreSQL server.
"""

import argparse
import asyncio
import os
import secrets
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.http_load import Load, request
from tests.bench.servers import free_ports, processor_seconds, serving, upstream
from tests.bench.table import Row, Target, command, compared
from tests.postgres_server import NO_SERVER, PostgresServer, has_server
from tests.processes import COMMAND, environment

CLIENTS = (1, 32, 256)
MANY = 32
"""The number of clients for the targets, and for the comparison of workers."""

SAME_CALL = Target("at least", 1.5)
NO_CALL = Target("at least", 0.45)

_SECRET = "a-secret-of-the-bench"


@dataclass
class Server:
    """A server that is measured.

    Attributes:
        port: Its port on 127.0.0.1.
        request: The request that is sent to it.
        clients: The numbers of clients, measured one after another.
        pid: Its process; None if it has several.
        rounds: The loads of all rounds, by number of clients.
        processor: The processor's milliseconds for a request in each round, by number of clients.
    """

    port: int
    request: bytes
    clients: tuple[int, ...] = CLIENTS
    pid: int | None = None
    rounds: dict[int, list[Load]] = field(default_factory=dict)
    processor: dict[int, list[float]] = field(default_factory=dict)

    async def measure(self, clients: int, seconds: float) -> None:
        """Put it under load once."""
        before = processor_seconds(self.pid) if self.pid is not None else None
        load = await Load.run(self.port, self.request, clients, seconds)
        self.rounds.setdefault(clients, []).append(load)
        if self.pid is not None and before is not None and (after := processor_seconds(self.pid)) is not None:
            self.processor.setdefault(clients, []).append((after - before) / len(load.times) * 1000)

    def rates(self, clients: int) -> list[float]:
        """Requests per second in each round."""
        return [load.rate for load in self.rounds[clients]]

    def milliseconds(self, clients: int, share: float) -> list[float]:
        """The milliseconds within which this share (0 to 1) of each round's requests was answered."""
        return [load.quantile(share) * 1000 for load in self.rounds[clients]]


async def _measure(servers: list[Server], rounds: int, seconds: float) -> None:
    for server in servers:  # warm up
        await Load.run(server.port, server.request, MANY, min(1, seconds))
    for _ in range(rounds):
        for clients in CLIENTS:
            for server in servers:
                if clients in server.clients:
                    await server.measure(clients, seconds)


def _compare_with_bare(ours: Server, same_call: Server, no_call: Server) -> list[Row]:
    found: list[Row] = []
    for clients in CLIENTS:
        what = f"check_quota over /mcp, {clients} client{'' if clients == 1 else 's'}"
        same, none = (SAME_CALL, NO_CALL) if clients == MANY else (None, None)
        rates = ours.rates(clients)
        found += [
            compared(what, "requests/s", rates, same_call.rates(clients), "bare MCPServer, the same call", same),
            compared(what, "requests/s", rates, no_call.rates(clients), "bare MCPServer, no call", none),
        ]
        for share, unit in ((0.5, "ms (p50)"), (0.99, "ms (p99)")):
            times, bare = ours.milliseconds(clients, share), same_call.milliseconds(clients, share)
            found.append(compared(what, unit, times, bare, "bare MCPServer, the same call"))
        if clients == MANY and ours.processor:
            # It depends less on what else the machine does: beside other programs, five rounds spread from 1.20 to
            # 1.40 ms, while the rate spread from 460 to 749 requests a second.
            own, unit = ours.processor[clients], "ms of a processor for a request"
            found += [
                compared(what, unit, own, same_call.processor[clients], "bare MCPServer, the same call"),
                compared(what, unit, own, no_call.processor[clients], "bare MCPServer, no call"),
            ]
    return found


def workers_command(count: int, port: int) -> list[str]:
    """The command in docs/hosting.md."""
    app = [
        "--factory",
        "kallyai_mcp.cli.serve_http:from_environment",
        "--http",
        "kallyai_mcp.transports.uvicorn_server:HeaderTimeoutProtocol",
    ]
    quiet = ["--ws", "none", "--no-access-log", "--no-server-header", "--log-level", "warning"]
    return [sys.executable, "-m", "uvicorn", *app, *quiet, "--workers", str(count), "--port", str(port)]


def rows(seconds: float, rounds: int) -> list[Row]:
    """Measure.

    Args:
        seconds: The duration of each load.
        rounds: How many rounds.

    Raises:
        RuntimeError: A response is an error.
        ConnectionError: A connection broke.
    """
    bare_port, our_port, one_port, two_port = free_ports(4)
    with tempfile.TemporaryDirectory() as home, upstream() as url, ExitStack() as running:
        bare = [sys.executable, "-m", "tests.bench.bare_http", str(bare_port), url]
        serve = [*COMMAND, "serve", "--transport", "http", "--port", str(our_port)]
        settings = environment(Path(home), API_URL=url, ACCESS_TOKEN="a-token", RATE_LIMIT="1000000/minute")
        bare_pid = running.enter_context(serving(bare, bare_port, dict(os.environ))).pid
        our_pid = running.enter_context(serving(serve, our_port, settings)).pid
        no_call = Server(bare_port, request(bare_port, "echo", {"text": "hello"}), pid=bare_pid)
        same_call = Server(bare_port, request(bare_port, "check_quota", {}), pid=bare_pid)
        ours = Server(our_port, request(our_port, "check_quota", {}), pid=our_pid)
        workers: list[Server] = []
        if has_server():
            shared = settings | {
                "KALLYAI_DATABASE_URL": running.enter_context(PostgresServer()).url(),
                "KALLYAI_SECRET_KEYS": secrets.token_hex(32),
                "KALLYAI_AUTH": "secret",
                "KALLYAI_MCP_TOKEN": _SECRET,
            }
            for count, port in ((1, one_port), (2, two_port)):
                running.enter_context(serving(workers_command(count, port), port, shared))
                workers.append(Server(port, request(port, "check_quota", {}, _SECRET), (MANY,)))
        asyncio.run(_measure([no_call, same_call, ours, *workers], rounds, seconds))
    what = f"two workers with one database, {MANY} clients"
    if not workers:
        return [*_compare_with_bare(ours, same_call, no_call), Row(what, None, "requests/s", reason=NO_SERVER)]
    one, two = workers
    scaled = compared(what, "requests/s", two.rates(MANY), one.rates(MANY), "one worker")
    return [*_compare_with_bare(ours, same_call, no_call), scaled]


def main() -> None:
    """Print the table; a response that is an error ends it with exit code 1."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    command("over_http", parser, lambda options: rows(options.seconds, options.rounds))


if __name__ == "__main__":
    main()
