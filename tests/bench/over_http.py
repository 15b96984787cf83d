"""Over `/mcp` (2026-07-28): `check_quota`, compared with a bare `MCPServer`, with many clients, and
with two workers.

    uv run python -m tests.bench.over_http

Each server is a process of its own, and so is the KallyAI behind them, which answers at once
(`upstream.py`). The bare server makes the same two API requests with a default
`httpx2.AsyncClient`, or none. The servers are measured in turn in each of many short rounds.
PostgreSQL runs on this machine, and is left out where it is not installed.
"""

import asyncio
import itertools
import os
import secrets
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.bench.load import Measured, measure, request
from tests.bench.servers import serving, upstream
from tests.bench.table import IS_SMOKE, not_measured, row
from tests.postgres_server import NO_SERVER, PostgresServer, has_server
from tests.processes import COMMAND, environment, free_port
from tests.transports.workers import workers_command

MANY, MOST = 32, 128
"""How many clients use a server at once."""

_SECRET = "a-secret-of-the-bench"
_SAME = "a bare MCPServer, the same two API requests"
_NO_REQUEST = "a bare MCPServer, no API request"


def _measured(
    port: int, tool: str = "check_quota", bearer: str = "", clients: Sequence[int] = (MANY,)
) -> Measured:
    return Measured(port, itertools.repeat(request(port, tool, {}, bearer)), clients)


def main() -> None:
    """Print the rows; a response that is an error ends it with exit code 1."""
    bare_port, our_port, one_port, two_port = (free_port() for _ in range(4))
    with tempfile.TemporaryDirectory() as home, upstream() as url, ExitStack() as running:
        settings = environment(
            Path(home), API_URL=url, ACCESS_TOKEN="a-token", RATE_LIMIT="1000000/minute"
        )
        bare = [sys.executable, "-m", "tests.bench.bare", str(bare_port), url]
        running.enter_context(serving(bare, bare_port, dict(os.environ)))
        serve = [*COMMAND, "serve", "--transport", "http", "--port", str(our_port)]
        running.enter_context(serving(serve, our_port, settings))
        same, ours = (
            _measured(bare_port, clients=(1, MANY)),
            _measured(our_port, clients=(1, MANY, MOST)),
        )
        servers = [same, without_request := _measured(bare_port, "without_request"), ours]
        if has_server():
            database = running.enter_context(PostgresServer()).url()
            settings |= {
                "KALLYAI_DATABASE_URL": database,
                "KALLYAI_SECRET_KEYS": secrets.token_hex(32),
            }
            settings |= {"KALLYAI_AUTH": "secret", "KALLYAI_MCP_TOKEN": _SECRET}
            for count, port in ((1, one_port), (2, two_port)):
                running.enter_context(serving(workers_command(port, count), port, settings))
                servers.append(_measured(port, bearer=_SECRET))
        asyncio.run(measure(servers, 1 if IS_SMOKE else 9, 0.05 if IS_SMOKE else 0.7))
    row(
        "check_quota over /mcp, one client, not the first call",
        "ms",
        ours.times[1],
        same.times[1],
        _SAME,
    )
    what, unit, rates = (
        f"check_quota over /mcp, {MANY} clients",
        "requests a second",
        ours.rates[MANY],
    )
    row(what, unit, rates, same.rates[MANY], _SAME, at_least=1.5)
    row("the same", unit, rates, without_request.rates[MANY], _NO_REQUEST, at_least=0.45)
    row(
        f"check_quota over /mcp, {MOST} clients: 99 of 100 within",
        "ms",
        ours.slow[MOST],
        at_most=500,
    )
    what = "two workers with one PostgreSQL database"
    if servers[3:]:
        one, two = servers[3:]
        row(what, unit, two.rates[MANY], one.rates[MANY], "one worker")
    else:
        not_measured(what, NO_SERVER)


if __name__ == "__main__":
    main()
