"""Calls placed over `/mcp` (2026-07-28) by one worker, on SQLite and on PostgreSQL.

    uv run python -m tests.bench.placing [--smoke] [CHECKOUT]

The KallyAI behind the servers (`upstream.py`) answers at once that the call has ended, and each
call has a number of its own. PostgreSQL runs on this machine, with `fsync` on. CHECKOUT is the
folder of an older version, in which `uv sync` was run: the two versions are measured in turn in
each round.
"""

import itertools
import secrets
import sys
import tempfile
from asyncio import run
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.bench.load import Measured, measure, request
from tests.bench.servers import serving, upstream
from tests.bench.table import IS_SMOKE, row
from tests.postgres_server import PostgresServer
from tests.processes import COMMAND, environment, free_port
from tests.transports.workers import workers_command

_CLIENTS = 32
_HERE = Path(__file__).parent.parent.parent
_SECRET = "a-secret-of-the-bench"


def _calls(port: int) -> Iterator[bytes]:
    """Requests for calls, each to another number."""
    task = {"task_category": "general", "task_description": "Ask for the opening hours"}
    for number in itertools.count(2_000_000):
        yield request(port, "make_call", task | {"respondent_phone": f"+1415{number}"}, _SECRET)


def _started(checkout: Path, url: str, running: ExitStack) -> dict[str, Measured]:
    """The servers of a checkout, by the name of their database; they run until `running` ends."""
    home = Path(running.enter_context(tempfile.TemporaryDirectory()))
    settings = environment(home, API_URL=url, ACCESS_TOKEN="a-token", RATE_LIMIT="1000000/minute")
    settings |= {"KALLYAI_AUTH": "secret", "KALLYAI_MCP_TOKEN": _SECRET}
    settings["KALLYAI_SECRET_KEYS"] = secrets.token_hex(32)
    first, second = free_port(), free_port()
    serve = [*COMMAND, "serve", "--transport", "http", "--port", str(first)]
    commands = {"SQLite": (first, serve), "PostgreSQL": (second, workers_command(second, 1))}
    servers = {}
    for database, (port, command) in commands.items():
        if database == "PostgreSQL":
            settings["KALLYAI_DATABASE_URL"] = running.enter_context(PostgresServer()).url()
        if checkout != _HERE:
            command[0] = str(checkout / ".venv" / "bin" / "python")
        running.enter_context(serving(command, port, settings, checkout))
        servers[database] = Measured(port, _calls(port), (1, _CLIENTS))
    return servers


def main() -> None:
    """Print the rows; a response that is an error ends it with exit code 1."""
    older = [Path(argument).resolve() for argument in sys.argv[1:] if argument != "--smoke"]
    with upstream() as url, ExitStack() as running:
        ours, *theirs = (_started(checkout, url, running) for checkout in (_HERE, *older))
        servers = [version[database] for database in ours for version in (ours, *theirs)]
        run(measure(servers, 1 if IS_SMOKE else 5, 0.05 if IS_SMOKE else 3))
    for database, server in ours.items():
        old = [version[database] for version in theirs]
        times = [time for version in old for time in version.times[1]]
        row(f"placing one call, {database}", "ms", server.times[1], times, "the older version")
        rates = [rate for version in old for rate in version.rates[_CLIENTS]]
        what, goal = (
            f"calls placed by {_CLIENTS} clients, one worker, {database}",
            2 if old else None,
        )
        row(what, "a second", server.rates[_CLIENTS], rates, "the older version", at_least=goal)


if __name__ == "__main__":
    main()
