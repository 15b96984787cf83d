"""`check_quota` over `/mcp` (2026-07-28): requests a second and how long each takes, against a bare `MCPServer`.

    uv run python -m tests.bench.over_http [--seconds SECONDS] [--rounds ROUNDS]

Each server is a process of its own, and so is the KallyAI behind them, which answers at once (`upstream.py`). The bare
server makes the same HTTP call with a default `httpx.AsyncClient`, or, as the limit of what can be had, none. The load
comes from this process over plain sockets, since any client library costs more than the servers do. The servers take
turns in each round; a figure is the median of its rounds.
"""

import argparse
import asyncio
import os
import platform
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.measured import Load, free_ports, request, serving, upstream
from tests.processes import COMMAND, environment
from tests.redis_server import RedisServer

CLIENTS = (1, 32, 256)

_SECRET = "a-secret-of-the-bench"


@dataclass
class Server:
    """A server that is measured.

    Attributes:
        name: As the table has it.
        port: Where it listens, on 127.0.0.1.
        request: What is sent to it.
        rounds: What was measured: for each number of clients the loads of all rounds.
    """

    name: str
    port: int
    request: bytes
    rounds: dict[int, list[Load]] = field(default_factory=dict)

    def rate(self, clients: int) -> float:
        """Requests a second."""
        return statistics.median(load.rate for load in self.rounds[clients])

    def milliseconds(self, clients: int, share: float) -> float:
        """Within how many milliseconds this share of the requests was answered."""
        return statistics.median(load.quantile(share) for load in self.rounds[clients]) * 1000


async def _measure(servers: list[Server], rounds: int, seconds: float) -> None:
    for server in servers:  # warm up
        await Load.run(server.port, server.request, 32, min(1, seconds))
    for _ in range(rounds):
        for clients in CLIENTS:
            for server in servers:
                load = await Load.run(server.port, server.request, clients, seconds)
                server.rounds.setdefault(clients, []).append(load)


def _print(servers: list[Server], rounds: int, seconds: float) -> None:
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, medians of {rounds} rounds of {seconds:g} s")
    heads = "".join(f" | {f'{clients} clients':>24}" for clients in CLIENTS)
    print(f"{'check_quota over /mcp':32}{heads}")
    print(f"{'':32}" + f" | {'req/s':>8}{'p50 ms':>8}{'p99 ms':>8}" * len(CLIENTS))
    for server in servers:
        cells = "".join(
            f" | {server.rate(n):8.0f}{server.milliseconds(n, 0.5):8.1f}{server.milliseconds(n, 0.99):8.1f}"
            for n in CLIENTS
        )
        print(f"{server.name:32}{cells}")
    limit, bare, ours, one, two = servers
    print("\nof ours, at 32 clients:")
    print(f"  {ours.rate(32) / bare.rate(32):.2f} of the bare server that makes the same call")
    print(f"  {ours.rate(32) / limit.rate(32):.2f} of the bare server that makes none")
    print(f"two workers against one, both on Redis, at 32 clients: {two.rate(32) / one.rate(32):.2f}")


def _workers(count: int, port: int) -> list[str]:
    """The README's line."""
    app = [
        "--factory",
        "kallyai_mcp.cli.http:from_environment",
        "--http",
        "kallyai_mcp.transports.patience:PromptProtocol",
    ]
    quiet = ["--ws", "none", "--no-access-log", "--no-server-header", "--log-level", "warning"]
    return [sys.executable, "-m", "uvicorn", *app, *quiet, "--workers", str(count), "--port", str(port)]


def main() -> None:
    """Print the table; any answer that isn't one ends it with exit code 1."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    bare_port, our_port, one_port, two_port = free_ports(4)
    with tempfile.TemporaryDirectory() as home, upstream() as url, ExitStack() as running:
        bare = [sys.executable, "-m", "tests.bench.bare_http", str(bare_port), url]
        ours = [*COMMAND, "serve", "--transport", "http", "--port", str(our_port)]
        settings = environment(Path(home), API_URL=url, ACCESS_TOKEN="a-token", RATE_LIMIT="1000000/minute")
        redis = RedisServer(Path(home))
        redis.start()
        running.callback(redis.kill)
        shared = settings | {"KALLYAI_REDIS_URL": redis.url, "KALLYAI_AUTH": "secret", "KALLYAI_MCP_TOKEN": _SECRET}
        running.enter_context(serving(bare, bare_port, dict(os.environ)))
        running.enter_context(serving(ours, our_port, settings))
        running.enter_context(serving(_workers(1, one_port), one_port, shared))
        running.enter_context(serving(_workers(2, two_port), two_port, shared))
        servers = [
            Server("bare, no call behind it", bare_port, request(bare_port, "echo", {"text": "hello"})),
            Server("bare, the same call by httpx", bare_port, request(bare_port, "check_quota", {})),
            Server("kallyai-mcp", our_port, request(our_port, "check_quota", {})),
            Server("one uvicorn worker, Redis", one_port, request(one_port, "check_quota", {}, _SECRET)),
            Server("two uvicorn workers, Redis", two_port, request(two_port, "check_quota", {}, _SECRET)),
        ]
        asyncio.run(_measure(servers, options.rounds, options.seconds))
    _print(servers, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
