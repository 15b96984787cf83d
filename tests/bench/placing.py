"""Placing calls over `/mcp`: how long one takes, and how many a second, on SQLite and on PostgreSQL.

    uv run python -m tests.bench.placing [--seconds SECONDS] [--rounds ROUNDS]

Each call has a number of its own. The KallyAI behind the server (`upstream.py`) answers at once that the call has
ended. So only the server and its ledger are measured: the search for a duplicate, the record, its state before the
request leaves, and the outcome. The servers are measured in turn in each round. PostgreSQL runs on this machine, with
`fsync` on.
"""

import argparse
import asyncio
import itertools
import secrets
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.bench.http_load import Load, request
from tests.bench.over_http import workers_command
from tests.bench.servers import free_ports, serving, upstream
from tests.bench.table import Row, command, compared
from tests.postgres_server import NO_SERVER, PostgresServer, has_server
from tests.processes import COMMAND, environment

WORKERS = (1, 2, 4)
CLIENTS = 32

_SECRET = "a-secret-of-the-bench"


def _calls(port: int) -> Iterator[bytes]:
    """Requests for calls, each to another number."""
    for number in itertools.count(2_000_000):
        arguments = {
            "task_category": "general",
            "task_description": "Ask for the opening hours",
            "respondent_phone": f"+1415{number}",
        }
        yield request(port, "make_call", arguments, _SECRET)


def rows(seconds: float, rounds: int) -> list[Row]:
    """Measure.

    Args:
        seconds: The duration of each load.
        rounds: How many rounds.
    """
    names = ["SQLite, one process"]
    if has_server():
        names += [f"PostgreSQL, {count} worker{'' if count == 1 else 's'}" for count in WORKERS]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    alone: dict[str, list[float]] = {name: [] for name in names}
    rates: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as home, upstream() as url, ExitStack() as running:
        settings = environment(Path(home), API_URL=url, ACCESS_TOKEN="a-token", RATE_LIMIT="1000000/minute")
        settings |= {"KALLYAI_AUTH": "secret", "KALLYAI_MCP_TOKEN": _SECRET}
        serve = [*COMMAND, "serve", "--transport", "http", "--port", str(ports[names[0]])]
        running.enter_context(serving(serve, ports[names[0]], settings))
        if len(names) > 1:
            shared = settings | {
                "KALLYAI_DATABASE_URL": running.enter_context(PostgresServer()).url(),
                "KALLYAI_SECRET_KEYS": secrets.token_hex(32),
            }
            for count, name in zip(WORKERS, names[1:], strict=True):
                running.enter_context(serving(workers_command(count, ports[name]), ports[name], shared))
        messages = {name: _calls(port) for name, port in ports.items()}
        for name, port in ports.items():  # warm up
            asyncio.run(Load.run(port, messages[name], CLIENTS, seconds))
        for _ in range(rounds):
            for name, port in ports.items():
                alone[name].append(asyncio.run(Load.run(port, messages[name], 1, seconds)).quantile(0.5) * 1000)
                rates[name].append(asyncio.run(Load.run(port, messages[name], CLIENTS, seconds)).rate)
    first = names[0]
    found = [Row(f"one call placed, {first}", statistics.median(alone[first]), "ms (p50)")]
    found += [compared(f"one call placed, {name}", "ms (p50)", alone[name], alone[first], first) for name in names[1:2]]
    found.append(Row(f"calls placed by {CLIENTS} clients, {first}", statistics.median(rates[first]), "calls/s"))
    found += [
        compared(f"calls placed by {CLIENTS} clients, {name}", "calls/s", rates[name], rates[names[1]], names[1])
        for name in names[1:]
    ]
    if len(names) == 1:
        found.append(Row("calls placed, PostgreSQL", None, "calls/s", reason=NO_SERVER))
    return found


def main() -> None:
    """Print the table; a response that is an error ends it with exit code 1."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    command("placing", parser, lambda options: rows(options.seconds, options.rounds))


if __name__ == "__main__":
    main()
