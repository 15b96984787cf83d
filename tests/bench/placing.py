"""Placing calls over `/mcp`: how long one takes, and how many a second, on SQLite and on PostgreSQL.

    uv run python -m tests.bench.placing [--seconds SECONDS] [--rounds ROUNDS]

Each call has a number of its own. The KallyAI behind the server (`upstream.py`) answers at once that the call has
ended. So only the server and its ledger are measured. The servers are measured in turn in each round. PostgreSQL runs
on this machine, with `fsync` on.
"""

import argparse
import asyncio
import itertools
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.bench.load import Load, request
from tests.bench.servers import SECRET, free_ports, serving, upstream
from tests.bench.table import not_measured, row
from tests.postgres_server import NO_SERVER, PostgresServer, has_server
from tests.processes import COMMAND, environment

SQLITE, POSTGRES = "SQLite", "PostgreSQL"
CLIENTS = 32


def _calls(port: int) -> Iterator[bytes]:
    """Requests for calls, each to another number."""
    for number in itertools.count(2_000_000):
        task = {"task_category": "general", "task_description": "Ask for the opening hours"}
        yield request(port, "make_call", task | {"respondent_phone": f"+1415{number}"}, SECRET)


def main() -> None:
    """Print the rows; a response that is an error ends it with exit code 1."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    names = [SQLITE, *([POSTGRES] if has_server() else [])]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    alone: dict[str, list[float]] = {name: [] for name in names}
    rates: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as home, upstream() as url, ExitStack() as running:
        settings = environment(Path(home), API_URL=url, ACCESS_TOKEN="a-token", RATE_LIMIT="1000000/minute")
        settings |= {"KALLYAI_AUTH": "secret", "KALLYAI_MCP_TOKEN": SECRET}
        for name, port in ports.items():
            if name == POSTGRES:
                database = running.enter_context(PostgresServer()).url()
                settings |= {"KALLYAI_DATABASE_URL": database, "KALLYAI_SECRET_KEYS": secrets.token_hex(32)}
            serve = [*COMMAND, "serve", "--transport", "http", "--port", str(port)]
            running.enter_context(serving(serve, port, settings))
        messages = {name: _calls(port) for name, port in ports.items()}
        for number in range(options.rounds + 1):
            for name, port in ports.items():
                one = asyncio.run(Load.run(port, messages[name], 1, options.seconds))
                many = asyncio.run(Load.run(port, messages[name], CLIENTS, options.seconds))
                if number > 0:  # the first round warms up
                    alone[name].append(one.milliseconds)
                    rates[name].append(many.rate)
    for name in names:
        row(f"placing one call over /mcp, {name}", "ms", alone[name])
    for name in names:
        row(f"calls placed by {CLIENTS} clients, {name}", "a second", rates[name])
    if len(names) == 1:
        not_measured("placing one call, PostgreSQL", NO_SERVER)


if __name__ == "__main__":
    main()
