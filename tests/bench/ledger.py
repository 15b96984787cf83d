"""How long the ledger takes to find the last call to a number among many records of one account, on both drivers.

    uv run python -m tests.bench.ledger [--records RECORDS] [--lookups LOOKUPS]

A thousand numbers are called in turn; half of the lookups are for another number, which was never called. The first
figure is the query alone, in a transaction of `LOOKUPS` queries. The second is `Ledger.precheck`, all that the ledger
is asked before a call is placed, with its own transaction. PostgreSQL runs on this machine, with `fsync` on, and has
the statistics that its autovacuum collects within a minute.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import anyio

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.ledger.base import Database, Transaction
from kallyai_mcp.calls.ledger.ledger import Ledger
from kallyai_mcp.calls.ledger.postgres import PostgresDatabase
from kallyai_mcp.calls.ledger.reservation import last_call
from kallyai_mcp.calls.ledger.sqlite import SqliteDatabase
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey, CallRecord, fingerprint
from kallyai_mcp.calls.timing import Timing
from tests.bench.table import Row, Target, command
from tests.postgres_server import NO_SERVER, PostgresServer, has_server

RECORDS = 100_000
TARGET = Target("at most", 1, "figure")
"""In milliseconds, for `RECORDS` records."""

_ACCOUNT = AccountKey("http://127.0.0.1", "account")
_BATCH = 10_000
_INTERVAL = 60
"""Seconds between two records."""

_INSERT = """
INSERT INTO calls (tracking_id, api, account, fingerprint, day, generation, idempotency_key, number, submission,
    timezone, worker, state, placed_at, sent_at, ended_at, delivered_at, call_id, outcome, reached, attempts)
WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < :count)
SELECT 't-' || (:first + i), :api, :account, 'fingerprint ' || (:first + i), '2026-01-25', 0, 'key ' || (:first + i),
    '+1415555' || (1000 + i - i / 1000 * 1000), '{}', 'UTC', 'worker', 'ended', :start + :interval * i,
    :start + :interval * i, :start + :interval * i, :start + :interval * i, 'call ' || (:first + i), '{}', 1, 1
FROM numbers
"""


async def _fill(database: Database, records: int) -> None:
    """Insert records of calls to a thousand numbers, the newest of them placed now."""
    start = time.time() - records * _INTERVAL

    def insert(first: int) -> Callable[[Transaction], int]:
        return lambda tx: tx.run(
            _INSERT,
            count=min(_BATCH, records - first),
            first=first,
            api=_ACCOUNT.api,
            account=_ACCOUNT.account,
            start=start + first * _INTERVAL,
            interval=_INTERVAL,
        )

    for first in range(0, records, _BATCH):
        await database.write(insert(first))


def _request(number: int) -> CallRecord:
    """A call that was not asked for before, to one of the thousand numbers or (if `number` is odd) to another one."""
    phone = f"+1415555{1000 + number % 1000}" if _is_known(number) else f"+1415556{1000 + number % 1000}"
    submission = Submission(task_category="general", task_description="Ask", respondent_phone=phone)
    now = datetime.now(UTC)
    return CallRecord("t-new", _ACCOUNT, fingerprint(submission), submission, "UTC", "worker", now)


def _is_known(number: int) -> bool:
    return number % 2 == 0


async def _measure(database: Database, records: int, lookups: int) -> tuple[float, float]:
    """Milliseconds of the query and of `Ledger.precheck`, as medians."""
    ledger = Ledger(database, policy=CallPolicy(), timing=Timing())
    try:
        await ledger.check()
        await _fill(database, records)
        if isinstance(database, PostgresDatabase):
            await database.write(lambda tx: tx.run("ANALYZE calls"))
        requests = [_request(number) for number in range(lookups)]

        def look_up(tx: Transaction) -> list[float]:
            durations: list[float] = []
            for number, request in enumerate(requests):
                began = time.perf_counter()
                found = last_call(tx, request)
                durations.append(time.perf_counter() - began)
                assert (found is not None) is _is_known(number)
            return durations

        queries: list[float] = await database.read(look_up, empty=[])
        prechecks: list[float] = []
        for number, request in enumerate(requests):
            began = time.perf_counter()
            found = await ledger.precheck(request, redial=False)
            prechecks.append(time.perf_counter() - began)
            assert (found.last_call is not None) is _is_known(number)
            assert found.duplicate is None
    finally:
        await ledger.aclose()
    return statistics.median(queries) * 1000, statistics.median(prechecks) * 1000


def rows(records: int, lookups: int) -> list[Row]:
    """Measure both drivers."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        databases: dict[str, Database] = {"SQLite": SqliteDatabase(Path(folder) / "ledger.db")}
        if has_server():
            databases["PostgreSQL"] = PostgresDatabase(stack.enter_context(PostgresServer()).url())
        for driver, database in databases.items():
            query, precheck = anyio.run(_measure, database, records, lookups)
            what = f"last call to this number, {records:,} records, {driver}"
            found.append(Row(what, query, "ms", target=TARGET if records >= RECORDS else None))
            found.append(Row(f"Ledger.precheck, {records:,} records, {driver}", precheck, "ms"))
        if len(databases) == 1:
            found.append(Row("last call to this number, PostgreSQL", None, "ms", target=TARGET, reason=NO_SERVER))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--lookups", type=int, default=500)
    command("ledger", parser, lambda options: rows(options.records, options.lookups))


if __name__ == "__main__":
    main()
