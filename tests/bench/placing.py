"""How many calls a second one worker places over `/mcp`, with SQLite and with PostgreSQL.

    uv run python -m tests.bench.placing

The server is a process of its own, and so is the KallyAI behind it (`upstream.py`), which answers at once that a call
has ended. Each call has a number of its own. PostgreSQL runs on this machine, with `fsync` on.
"""

import asyncio
import itertools
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.bench.load import Measured, measure, request
from tests.bench.servers import serving, upstream
from tests.bench.table import IS_SMOKE, not_measured, row
from tests.postgres_server import NO_SERVER, PostgresServer, has_server
from tests.processes import COMMAND, environment, free_port

MANY = 32
"""How many clients place calls at once."""


def _calls(port: int) -> Iterator[bytes]:
    """Requests for calls, each to another number."""
    task = {"task_category": "general", "task_description": "Ask for the opening hours"}
    return (request(port, "make_call", task | {"respondent_phone": f"+1415{n}"}) for n in itertools.count(2_000_000))


def main() -> None:
    """Print the rows; a response that is an error ends it with exit code 1."""
    for driver in ("SQLite", "PostgreSQL"):
        what = f"calls placed by {MANY} clients, one worker with {driver}"
        if driver == "PostgreSQL" and not has_server():
            not_measured(what, NO_SERVER)
            continue
        port = free_port()
        with tempfile.TemporaryDirectory() as home, upstream() as url, ExitStack() as running:
            settings = environment(Path(home), API_URL=url, ACCESS_TOKEN="a-token", RATE_LIMIT="1000000/minute")
            if driver == "PostgreSQL":
                database = running.enter_context(PostgresServer()).url()
                settings |= {"KALLYAI_DATABASE_URL": database, "KALLYAI_SECRET_KEYS": secrets.token_hex(32)}
            command = [*COMMAND, "serve", "--transport", "http", "--port", str(port)]
            running.enter_context(serving(command, port, settings))
            server = Measured(port, _calls(port), (1, MANY))
            asyncio.run(measure([server], 1 if IS_SMOKE else 3, 0.05 if IS_SMOKE else 3))
        row(f"placing one call over /mcp, {driver}", "ms", server.times[1])
        row(what, "a second", server.rates[MANY])


if __name__ == "__main__":
    main()
