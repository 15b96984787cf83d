"""How long the ledger takes as it grows, on both drivers.

    uv run python -m tests.bench.ledger [--records RECORDS ...] [--rounds ROUNDS]

The records are calls of one account that are over and were told; a thousand numbers were called in turn. For each
number of records:

- last call: the query for the last call to a number, half of the times to a number that was never called;
- place: reserve a call, note that its request leaves, write its outcome, and note that it was told;
- list: what `list_calls` reads, for ten calls;
- take due: one transaction for calls that are due, of which two thousand are due at one moment;
- purge: one deletion of old records, of which there are two thousand.

A figure is the median of the rounds. PostgreSQL runs on this machine, with `fsync` on, and has the statistics that its
autovacuum collects within a minute.
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

RECORDS = (1000, 100_000, 1_000_000)
MILLISECONDS = {"last call": 1, "place": 20, "list": 10, "take due": 500, "purge": 100}
"""The targets, for any number of records."""

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


async def _last_calls(ledger: Ledger, database: Database, rounds: int) -> list[float]:
    """The duration of each query, in seconds; all are in one transaction."""
    del ledger

    def look_up(tx: Transaction) -> list[float]:
        durations: list[float] = []
        for number in range(rounds):
            phone = f"+1415555{1000 + number}" if number % 2 == 0 else f"+1415556{1000 + number}"
            began = time.perf_counter()
            found = last_call(tx, _record(str(number), datetime.now(UTC), phone))
            durations.append(time.perf_counter() - began)
            assert (found is not None) is (number % 2 == 0)
        return durations

    return await database.read(look_up)


async def _timed(rounds: int, work: Callable[[int], Awaitable[None]]) -> list[float]:
    durations: list[float] = []
    for number in range(rounds):
        began = time.perf_counter()
        await work(number)
        durations.append(time.perf_counter() - began)
    return durations


async def _place(ledger: Ledger, database: Database, rounds: int) -> list[float]:
    del database
    worker = await ledger.take_lease()

    async def one(number: int) -> None:
        asked = replace(_record(f"new {number}", datetime.now(UTC)), worker=worker)
        record, _ = await ledger.reserve(asked, redial=False)
        record = await ledger.mark_sent(record, service_time=lambda: None)
        call = Call.model_validate({"call_id": f"c-new {number}", "status": "success", "highlights": "At nine."})
        await ledger.finish(record, CallState.ENDED, call=call)
        await ledger.mark_delivered([replace(record, state=CallState.ENDED)], delivered=True)

    return await _timed(rounds, one)


async def _list(ledger: Ledger, database: Database, rounds: int) -> list[float]:
    del database

    async def one(_: int) -> None:
        await ledger.list_unsettled(_ACCOUNT)
        await ledger.list_unfinished(_ACCOUNT)
        found = await ledger.find_ended(_ACCOUNT, [f"c-kept-{number}" for number in range(1, 11)])
        assert len(found) == 10

    return await _timed(rounds, one)


async def _take_due(ledger: Ledger, database: Database, rounds: int) -> list[float]:
    del database

    async def one(_: int) -> None:
        taken = await ledger.take_due(_WITH_DUE_CALLS, "worker", most=BATCH, service_time=lambda: None)
        assert len(taken) == BATCH

    return await _timed(min(rounds, _EXTRA // BATCH // 2), one)


async def _purge(ledger: Ledger, database: Database, rounds: int) -> list[float]:
    del database

    async def one(_: int) -> None:
        assert await ledger.purge(timedelta(days=90).total_seconds())

    return await _timed(min(rounds, _EXTRA // BATCH), one)


_MEASURED = {"last call": _last_calls, "place": _place, "take due": _take_due, "list": _list, "purge": _purge}


async def _measure(database: Database, what: str, records: int, rounds: int) -> None:
    ledger = Ledger(database, policy=CallPolicy(), timing=Timing())
    async with aclosing(ledger):
        await ledger.check()
        await _fill(database, records)
        for name, measured in _MEASURED.items():
            figure = statistics.median(await measured(ledger, database, rounds)) * 1000
            row(f"{name}, {what}", "ms", [figure], at_most=MILLISECONDS[name])


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
