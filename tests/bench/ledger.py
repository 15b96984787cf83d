"""How long the ledger takes with a thousand, a hundred thousand, and a million records, on both
drivers.

    uv run python -m tests.bench.ledger

The records are calls of one account that are over and were told; a thousand numbers were called in
turn. Two thousand more calls are due at one moment, and two thousand are old. PostgreSQL has
`fsync` on, and the statistics of a vacuum.
"""

import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio

from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.changes import BATCH
from kallyai_mcp.calls.events import Checked, Due, Leave, Over, Requested
from kallyai_mcp.calls.fingerprint import fingerprint
from kallyai_mcp.calls.ledger import lists, rows, search_index, upkeep
from kallyai_mcp.calls.ledger.base import Database, Ledger, Tx
from kallyai_mcp.calls.ledger.postgres import PostgresDatabase
from kallyai_mcp.calls.ledger.sqlite import SqliteDatabase
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.calls.search_words import Search
from kallyai_mcp.calls.timing import Timing
from tests.bench.table import IS_SMOKE, row
from tests.many_records import add_records
from tests.postgres_server import PostgresServer

SIZES, ROUNDS = ((1000,), 2) if IS_SMOKE else ((1000, 100_000, 1_000_000), 100)
_ACCOUNT = AccountKey("http://127.0.0.1", "account")
_WITH_DUE_CALLS = AccountKey("http://127.0.0.1", "with due calls")
_SPAN = timedelta(days=60)
"""All records are of this time."""

_SEARCHES = (("they close", 11), ("close parking", 0), ("kept old", 0))
"""Words, and how many of the newest eleven calls have them: all calls have the first two; nearly
all have "kept", many have "old", and none has both.
"""

_MANY = 2000
"""How many calls are due at one moment, and how many are old."""


def _record(name: str, at: datetime) -> CallRecord:
    """A call of its own that is asked for at a time."""
    asked = Submission(
        task_category="general", task_description=f"Ask {name}", respondent_phone="+14155551000"
    )
    day = at.date().isoformat()
    return CallRecord(
        f"t-{name}",
        _ACCOUNT,
        fingerprint(asked),
        asked,
        "UTC",
        "worker",
        at,
        day,
        idempotency_key=name,
    )


def _call(name: str) -> Call:
    return Call.model_validate(
        {"call_id": f"c-{name}", "status": "success", "highlights": "They close at nine."}
    )


def _told(name: str, at: datetime) -> CallRecord:
    """A call that ended at a time and was told."""
    over = replace(
        _record(name, at),
        state=CallState.ENDED,
        call=_call(name),
        call_id=f"c-{name}",
        reached=True,
    )
    return replace(over, sent_at=at, ended_at=at, delivered_at=at)


async def _fill(database: Database, size: int) -> None:
    now = datetime.now(UTC)
    await add_records(
        database, _told("kept", now - _SPAN), size, interval=_SPAN.total_seconds() / size
    )
    await add_records(database, _told("old", now - 2 * _SPAN), _MANY)
    schedule = Schedule(now, now + timedelta(hours=1))
    due = replace(
        _record("due", now), account=_WITH_DUE_CALLS, state=CallState.SCHEDULED, schedule=schedule
    )
    await add_records(database, due, _MANY, interval=0)
    if isinstance(database, PostgresDatabase):
        await database.write(_analyze)


def _analyze(tx: Tx) -> None:
    tx.run("SET LOCAL statement_timeout = 0")
    tx.run("ANALYZE calls")
    tx.run("ANALYZE call_words")


async def _timed(rounds: int, work: Callable[[int], Awaitable[None]]) -> float:
    """The milliseconds of `work`, which gets the number of the round; the median."""
    durations: list[float] = []
    for number in range(rounds):
        began = time.perf_counter()
        await work(number)
        durations.append(time.perf_counter() - began)
    return statistics.median(durations) * 1000


async def _measure(database: Database, driver: str, size: int) -> None:
    ledger = Ledger(database, policy=CallPolicy(), timing=Timing())
    async with aclosing(database):
        await ledger.write(None, lambda tx: tx.now)
        await _fill(database, size)
        worker = await database.take_lease()

        async def place(number: int) -> None:
            """Reserve a call, note that its request leaves, write its outcome, and note that it was
            told.
            """
            asked = replace(_record(f"new {number}", datetime.now(UTC)), worker=worker)
            record = await ledger.handle(asked.account, Requested(Checked(asked, redial=False)))
            record = await ledger.handle(record.account, Leave(record))
            over = replace(
                record,
                state=CallState.ENDED,
                call=_call(f"new {number}"),
                call_id=f"c-new {number}",
            )
            await ledger.handle(over.account, Over(over))
            await ledger.write(None, rows.mark_delivered, [over], delivered=True)

        async def list_calls(_: int) -> None:
            """What `list_calls` reads, for ten calls."""
            ids = [f"c-kept-{number}" for number in range(1, 11)]
            await ledger.read(rows.list_newest, _ACCOUNT, 200)
            assert len(await ledger.read(rows.find_ended, _ACCOUNT, ids)) == 10
            await ledger.read(rows.list_unsettled, _ACCOUNT)
            await ledger.read(lists.list_unfinished, _ACCOUNT)

        async def search(about: str, count: int, _: int) -> None:
            """What `list_calls` reads for `about`: the newest ten calls with these words."""
            asked = Search(about, with_quotes=True, most=11)
            found = await ledger.read(search_index.find_about, _ACCOUNT, asked)
            assert len(found.records) == count

        async def purge(_: int) -> None:
            """One transaction that deletes old records."""
            assert await ledger.write(None, upkeep.purge, 1.5 * _SPAN.total_seconds())

        async def take_due(_: int) -> None:
            """Two transactions for calls that are due."""
            due = await ledger.read(upkeep.find_due, _WITH_DUE_CALLS)
            taken = await ledger.handle(_WITH_DUE_CALLS, Due("worker", due))
            assert len(taken) == BATCH

        what, batches = f"{size:,} records, {driver}", min(ROUNDS, _MANY // BATCH // 2)
        row(f"place, {what}", "ms", [await _timed(ROUNDS, place)], at_most=20)
        row(f"list_calls, {what}", "ms", [await _timed(ROUNDS, list_calls)], at_most=100)
        for words, count in _SEARCHES:
            took = await _timed(ROUNDS, partial(search, words, count))
            row(f'list_calls about "{words}", {what}', "ms", [took], at_most=10)
        row(f"take due, {what}", "ms", [await _timed(batches, take_due)], at_most=500)
        row(f"purge, {what}", "ms", [await _timed(batches, purge)], at_most=100)


def main() -> None:
    """Print the rows."""
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder, PostgresServer() as server:
            anyio.run(_measure, SqliteDatabase(Path(folder) / "ledger.db"), "SQLite", size)
            anyio.run(_measure, PostgresDatabase(server.url(), seconds=60), "PostgreSQL", size)


if __name__ == "__main__":
    main()
