"""What a server costs that is not used: wake-ups, transactions, the first use after a pause, and
disk.

    uv run python -m tests.bench.at_rest

The servers are over stdio, and the KallyAI behind them answers at once (`upstream.py`). Wake-ups
are the voluntary context switches of all threads, which Linux counts in /proc. PostgreSQL counts
its transactions. Disk needs an index.
"""

import itertools
import re
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from tests.bench.over_stdio import Server
from tests.bench.servers import upstream
from tests.bench.table import IS_SMOKE, not_measured, row
from tests.limits import MEGABYTES, PACKAGES
from tests.postgres_server import PostgresServer
from tests.processes import COMMAND, environment
from tests.supply.__main__ import plain_installation

ROUNDS, PAUSE, SETTLING, IDLE = (1, 0, 0, 1) if IS_SMOKE else (7, 5, 25, 30)
"""Seconds: before the first use, until a server has nothing left to do, and of the count."""

_numbers = itertools.count(2_000_000)


def _place(server: Server) -> float:
    """Place a call to another number each time; returns the milliseconds."""
    task = {"task_category": "general", "task_description": "Ask for the opening hours"}
    return server.use("make_call", **task, respondent_phone=f"+1415{next(_numbers)}")


def _in_ten_seconds(count: Callable[[], int]) -> list[float]:
    """By how much a count grows once the servers have nothing left to do."""
    time.sleep(SETTLING)
    before = count()
    time.sleep(IDLE)
    return [(count() - before) * 10 / IDLE]


def _measure_idle(settings: dict[str, str]) -> None:
    """Leave a server alone after a call, with its ledger in a file, and then on PostgreSQL."""
    idle = Server(COMMAND, settings)
    _place(idle)

    def wake_ups() -> int:
        threads = "".join(
            status.read_text("utf-8") for status in Path(f"/proc/{idle.pid}/task").glob("*/status")
        )
        return sum(map(int, re.findall(r"(?m)^voluntary_ctxt_switches:\s*(\d+)", threads)))

    row("an idle server over stdio", "wake-ups in 10 s", _in_ten_seconds(wake_ups), at_most=1)
    idle.close()
    with (
        PostgresServer() as postgres,
        psycopg.connect(postgres.url(), autocommit=True) as connection,
    ):
        shared = {
            "KALLYAI_DATABASE_URL": postgres.create_database(),
            "KALLYAI_SECRET_KEYS": secrets.token_hex(32),
        }
        idle = Server(COMMAND, settings | shared)
        _place(idle)

        def transactions() -> int:
            counted = (
                "SELECT sum(xact_commit + xact_rollback)::int FROM pg_stat_database WHERE "
                "datname LIKE 'test_%'"
            )
            ((number,),) = connection.execute(counted)
            return int(number)

        row(
            "an idle server with PostgreSQL",
            "transactions in 10 s",
            _in_ten_seconds(transactions),
            at_most=2,
        )
        idle.close()


def _measure_first_use(settings: dict[str, str]) -> None:
    """Compare the first use of a tool with the second."""
    quota, calls = [], []
    for _ in range(ROUNDS):
        server = Server(COMMAND, settings, pause=PAUSE)
        quota.append(server.first_use - server.use())
        calls.append(_place(server) - _place(server))
        server.close()
    row("the first check_quota, less the second", "ms", quota, at_most=40)
    row("the first make_call, less the second", "ms", calls, at_most=40)


def main() -> None:
    """Print the rows."""
    with tempfile.TemporaryDirectory() as folder, upstream() as url:
        settings = environment(Path(folder) / "home", API_URL=url, ACCESS_TOKEN="a-token")
        _measure_idle(settings)
        _measure_first_use(settings)
    if IS_SMOKE:
        not_measured("a plain installation", "tests.supply makes one")
        return
    packages, megabytes = plain_installation()
    row("a plain installation", "packages", [packages], at_most=PACKAGES.most)
    row("the same, compiled", "MB", [megabytes], at_most=MEGABYTES.most)


if __name__ == "__main__":
    main()
