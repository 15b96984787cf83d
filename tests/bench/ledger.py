"""How long the ledger takes as it grows, on both drivers.

    uv run python -m tests.bench.ledger [--records RECORDS ...] [--rounds ROUNDS]

The records are calls of one account that are over and were told; a thousand numbers were called in turn. Two thousand
more are old, and two thousand calls are due at one moment. PostgreSQL runs on this machine, with `fsync` on, and has
the statistics that its autovacuum collects within a minute.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio

from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.ledger.base import BATCH, Database, Transaction
from kallyai_mcp.calls.ledger.ledger import Ledger
from kallyai_mcp.calls.ledger.postgres import PostgresDatabase
from kallyai_mcp.calls.ledger.reservation import last_call
from kallyai_mcp.calls.ledger.sqlite import SqliteDatabase
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState, fingerprint
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.calls.timing import Timing
from tests.bench.table import not_measured, row
from tests.many_records import add_records
from tests.postgres_server import NO_SERVER, PostgresServer, has_server

RECORDS = (1000, 1_000_000)
_ACCOUNT = AccountKey("http://127.0.0.1", "account")
_WITH_DUE_CALLS = AccountKey("http://127.0.0.1", "with due calls")
_DAYS = 60
"""All records are of so many days."""

_EXTRA = 2000
"""How many calls are due at one moment, and how many are old."""


def _record(name: str, at: datetime, phone: str = "+14155551000") -> CallRecord:
    """A call of its own that is asked for at a time."""
    asked = Submission(task_category="general", task_description=f"Ask {name}", respondent_phone=phone)
    day = at.date().isoformat()
    return CallRecord(f"t-{name}", _ACCOUNT, fingerprint(asked), asked, "UTC", "worker", at, day, idempotency_key=name)


def _over(name: str, at: datetime) -> CallRecord:
    call = Call.model_validate({"call_id": name, "status": "success", "highlights": "They close at nine."})
    over = replace(_record(name, at), state=CallState.ENDED, call=call, call_id=f"c-{name}", reached=True)
    return replace(over, sent_at=at, ended_at=at, delivered_at=at)


async def _fill(database: Database, records: int) -> None:
    now = datetime.now(UTC)
    span = timedelta(days=_DAYS)
    await add_records(database, _over("kept", now - span), records, interval=span.total_seconds() / records)
    await add_records(database, _over("old", now - timedelta(days=200)), _EXTRA)
    schedule = Schedule(now, now + timedelta(hours=1))
    due = replace(_record("due", now), account=_WITH_DUE_CALLS, state=CallState.SCHEDULED, schedule=schedule)
    await add_records(database, due, _EXTRA, interval=0)
    if isinstance(database, PostgresDatabase):
        await database.write(lambda tx: (tx.run("SET LOCAL statement_timeout = 0"), tx.run("ANALYZE calls")))


async def _timed(rounds: int, work: Callable[[int], Awaitable[None]]) -> float:
    """The milliseconds of `work`, which gets the number of the round; the median."""
    durations: list[float] = []
    for number in range(rounds):
        began = time.perf_counter()
        await work(number)
        durations.append(time.perf_counter() - began)
    return statistics.median(durations) * 1000


class Uses:
    """The uses of a ledger that are measured, each by its number."""

    def __init__(self, ledger: Ledger, worker: str) -> None:
        self._ledger = ledger
        self._worker = worker

    async def place(self, number: int) -> None:
        """Reserve a call, note that its request leaves, write its outcome, and note that it was told."""
        asked = replace(_record(f"new {number}", datetime.now(UTC)), worker=self._worker)
        record, _ = await self._ledger.reserve(asked, redial=False)
        record = await self._ledger.mark_sent(record, service_time=lambda: None)
        call = Call.model_validate({"call_id": f"c-new {number}", "status": "success", "highlights": "At nine."})
        await self._ledger.finish(record, CallState.ENDED, call=call)
        await self._ledger.mark_delivered([replace(record, state=CallState.ENDED)], delivered=True)

    async def list_calls(self, _: int) -> None:
        """What `list_calls` reads, for ten calls."""
        await self._ledger.list_unsettled(_ACCOUNT)
        await self._ledger.list_unfinished(_ACCOUNT)
        assert len(await self._ledger.find_ended(_ACCOUNT, [f"c-kept-{number}" for number in range(1, 11)])) == 10

    async def take_due(self, _: int) -> None:
        """One transaction for calls that are due."""
        taken = await self._ledger.take_due(_WITH_DUE_CALLS, "worker", most=BATCH, service_time=lambda: None)
        assert len(taken) == BATCH

    async def purge(self, _: int) -> None:
        """One deletion of old records."""
        assert await self._ledger.purge(timedelta(days=90).total_seconds())


async def _last_calls(database: Database, rounds: int) -> float:
    """The milliseconds of a query for the last call to a number, half of the times to one that was never called."""

    def look_up(tx: Transaction) -> list[float]:
        durations: list[float] = []
        for number in range(rounds):
            phone = f"+1415555{1000 + number}" if number % 2 == 0 else f"+1415556{1000 + number}"
            began = time.perf_counter()
            found = last_call(tx, _ACCOUNT, phone)
            durations.append(time.perf_counter() - began)
            assert (found is not None) is (number % 2 == 0)
        return durations

    return statistics.median(await database.read(look_up)) * 1000


async def _measure(database: Database, what: str, records: int, rounds: int) -> None:
    ledger = Ledger(database, policy=CallPolicy(), timing=Timing())
    async with aclosing(ledger):
        await ledger.check()
        await _fill(database, records)
        uses, few = Uses(ledger, await ledger.take_lease()), min(rounds, _EXTRA // BATCH // 2)
        row(f"last call, {what}", "ms", [await _last_calls(database, rounds)], at_most=1)
        row(f"place, {what}", "ms", [await _timed(rounds, uses.place)], at_most=20)
        row(f"list, {what}", "ms", [await _timed(rounds, uses.list_calls)], at_most=10)
        row(f"take due, {what}", "ms", [await _timed(few, uses.take_due)], at_most=500)
        row(f"purge, {what}", "ms", [await _timed(few, uses.purge)], at_most=100)


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, nargs="+", default=RECORDS)
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args()
    for driver in ("SQLite", "PostgreSQL"):
        for records in options.records:
            what = f"{records:,} records, {driver}"
            with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
                if driver == "SQLite":
                    database: Database = SqliteDatabase(Path(folder) / "ledger.db")
                elif has_server():
                    database = PostgresDatabase(stack.enter_context(PostgresServer()).url(), seconds=60)
                else:
                    not_measured(what, NO_SERVER)
                    continue
                anyio.run(_measure, database, what, records, options.rounds)


if __name__ == "__main__":
    main()
