"""How many calls a second one worker places over `/mcp`, with SQLite and with PostgreSQL.

    uv run python -m tests.bench.placing [--seconds SECONDS] [--rounds ROUNDS] [--against PYTHON]

The server is a process of its own, and so is the KallyAI behind it (`upstream.py`), which answers at once that a call
has ended. Each call has a number of its own. `--against` is the Python of another version, as in the `.venv` of its
checkout, whose server is measured in turn with this one, on the same disk. PostgreSQL runs on this machine, with
`fsync` on.
"""

import argparse
import asyncio
import itertools
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.bench.load import Load, request
from tests.bench.servers import serving, upstream
from tests.bench.table import not_measured, row
from tests.postgres_server import NO_SERVER, PostgresServer, has_server
from tests.processes import COMMAND, environment, free_port

MANY = 32
"""How many clients place calls at once."""

_BEFORE = "the other version"


def _calls(port: int) -> Iterator[bytes]:
    """Requests for calls, each to another number."""
    for number in itertools.count(2_000_000):
        task = {"task_category": "general", "task_description": "Ask for the opening hours"}
        yield request(port, "make_call", task | {"respondent_phone": f"+1415{number}"})


class Version:
    """A server of one version of the program; its milliseconds for a call, and its calls a second."""

    def __init__(self, running: ExitStack, url: str, python: str, database: str | None) -> None:
        self._port = free_port()
        home = Path(running.enter_context(tempfile.TemporaryDirectory()))
        settings = environment(home, API_URL=url, ACCESS_TOKEN="a-token", RATE_LIMIT="1000000/minute")
        if database is not None:
            settings |= {"KALLYAI_DATABASE_URL": database, "KALLYAI_SECRET_KEYS": secrets.token_hex(32)}
        # `-P`: not the version in the current folder.
        command = [python, "-P", *COMMAND[1:], "serve", "--transport", "http", "--port", str(self._port)]
        running.enter_context(serving(command, self._port, settings))
        self._messages = _calls(self._port)
        self.times: list[float] = []
        self.rates: list[float] = []

    async def measure(self, seconds: float, *, counts: bool) -> None:
        """Put it under each load once; the first round does not count, because it warms up."""
        one = await Load.run(self._port, self._messages, 1, seconds)
        many = await Load.run(self._port, self._messages, MANY, seconds)
        if counts:
            self.times.append(one.milliseconds)
            self.rates.append(many.rate)


async def _measure(versions: list[Version], rounds: int, seconds: float) -> None:
    for number in range(rounds + 1):
        for version in versions:
            await version.measure(seconds, counts=number > 0)


def main() -> None:
    """Print the rows; a response that is an error ends it with exit code 1."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against")
    options = parser.parse_args()
    for driver in ("SQLite", "PostgreSQL"):
        what = f"calls placed by {MANY} clients, one worker with {driver}"
        if driver == "PostgreSQL" and not has_server():
            not_measured(what, NO_SERVER)
            continue
        with upstream() as url, ExitStack() as running:
            server = running.enter_context(PostgresServer()) if driver == "PostgreSQL" else None
            versions = [
                Version(running, url, python, server.create_database() if server is not None else None)
                for python in filter(None, (sys.executable, options.against))
            ]
            asyncio.run(_measure(versions, options.rounds, options.seconds))
        ours, *others = versions
        before = others[0] if others else None
        row(f"placing one call over /mcp, {driver}", "ms", ours.times, before.times if before else (), _BEFORE)
        row(what, "a second", ours.rates, before.rates if before else (), _BEFORE)


if __name__ == "__main__":
    main()
