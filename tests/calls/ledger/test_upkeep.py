"""A ledger that has grown is as fast as a small one, old records are deleted, and those that are
needed are kept.
"""

import math
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TypeVar

import pytest

from kallyai_mcp.calls.admin import Admin
from kallyai_mcp.calls.events import Adopt, Checked, Due, Late, Requested
from kallyai_mcp.calls.ledger import all_accounts, expiry, lists, rows, search_index, upkeep
from kallyai_mcp.calls.ledger.base import Database, Ledger, Tx
from kallyai_mcp.calls.ledger.postgres import PostgresDatabase
from kallyai_mcp.calls.ledger.shared_values import put
from kallyai_mcp.calls.operator import CallGroup, WantedEntries
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.calls.search_words import Search
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.settings import Settings
from tests.calls.ledgers import (
    ACCOUNT,
    HERE,
    NOW,
    WatchedDatabase,
    ago,
    another,
    asked,
    kept,
    outcome,
)
from tests.calls.lists import SUCCESS, asked_for, calls_of, stopped, went_on
from tests.calls.manual_time import ManualClock
from tests.calls.world import Service, world
from tests.many_records import add_records, add_rows

FEW, MANY = 200, 2000
DAY = 86_400.0

Result = TypeVar("Result")


class CountingDatabase(WatchedDatabase):
    """A database that counts what its transactions read: rows with PostgreSQL, steps of its machine
    with SQLite.

    Attributes:
        read_last: How much the last transaction read.
    """

    read_last = 0

    async def read(self, work: Callable[[Tx], Result]) -> Result:
        return await super().read(lambda tx: self._counted(tx, work))

    async def write(
        self,
        work: Callable[[Tx], Result],
        account: AccountKey | None = None,
        *,
        is_durable: bool = True,
    ) -> Result:
        return await super().write(
            lambda tx: self._counted(tx, work), account, is_durable=is_durable
        )

    def _counted(self, tx: Tx, work: Callable[[Tx], Result]) -> Result:
        if isinstance(self._database, PostgresDatabase):
            before = _rows_read(tx)
            result = work(tx)
            self.read_last = _rows_read(tx) - before
            return result
        connection: sqlite3.Connection = self._database._connection  # type: ignore[attr-defined]  # noqa: SLF001
        self.read_last = 0

        def count() -> None:
            self.read_last += 1

        connection.set_progress_handler(count, 1)
        try:
            return work(tx)
        finally:
            connection.set_progress_handler(None, 0)


def _rows_read(tx: Tx) -> int:
    [row] = tx.rows(
        "SELECT COALESCE(SUM(COALESCE(seq_tup_read, 0) + COALESCE(idx_tup_fetch, 0)), 0) AS read "
        "FROM pg_stat_xact_user_tables"
    )
    return int(row["read"])


async def analyze(database: Database) -> None:
    """Collect the statistics that PostgreSQL's autovacuum collects within a minute."""
    if isinstance(database, PostgresDatabase):
        await database.write(lambda tx: tx.run("ANALYZE"))


def over(days: float = 0.1, name: str = "over") -> CallRecord:
    """A call that ended so many days ago and was told."""
    at = ago(days=days)
    return replace(
        asked(),
        tracking_id=f"t-{name}",
        fingerprint=name,
        call_id=f"c-{name}",
        call=outcome(),
        state=CallState.ENDED,
        reached=True,
        asked_at=at,
        ended_at=at,
        delivered_at=at,
    )


def due(after: timedelta = timedelta(0)) -> CallRecord:
    """A call that is due so long after `NOW`."""
    schedule = Schedule(NOW + after, NOW + after + timedelta(minutes=30))
    scheduled = replace(asked(), tracking_id="t-due", fingerprint="due", state=CallState.SCHEDULED)
    return replace(scheduled, asked_at=ago(hours=1), schedule=schedule)


@pytest.fixture
def counting(database: Database, clock: ManualClock) -> CountingDatabase:
    return CountingDatabase(database, clock)


@pytest.fixture
def ledger(counting: CountingDatabase) -> Ledger:
    """The ledger in `counting`."""
    return Ledger(counting, policy=CallPolicy(Settings(calls_per_hour=10_000)), timing=Timing())


Use = Callable[[Ledger], Awaitable[object]]


async def take(ledger: Ledger) -> tuple[CallRecord, ...]:
    due = await ledger.read(upkeep.find_due, ACCOUNT)
    return await ledger.handle(ACCOUNT, Due("0000000a", due))


USES: dict[str, Use] = {
    "list_unsettled": lambda ledger: ledger.read(rows.list_unsettled, ACCOUNT),
    "list_untold_plans": lambda ledger: ledger.read(rows.list_untold_plans, ACCOUNT),
    "list_newest": lambda ledger: ledger.read(rows.list_newest, ACCOUNT, 20),
    "audit": lambda ledger: ledger.read(rows.audit, ACCOUNT, 20),
    "find_about": lambda ledger: ledger.read(
        search_index.find_about, ACCOUNT, Search("ask about", with_quotes=False, most=20)
    ),
    "find_ended": lambda ledger: ledger.read(
        rows.find_ended, ACCOUNT, [f"c-over-{number}" for number in range(10)]
    ),
    "find by tracking_id": lambda ledger: ledger.read(rows.find, ACCOUNT, "t-over-7"),
    "find by call_id": lambda ledger: ledger.read(rows.find, ACCOUNT, "c-over-7"),
    "list_related": lambda ledger: ledger.read(rows.list_related, ACCOUNT, "+14155551007"),
    "list_unfinished": lambda ledger: ledger.read(lists.list_unfinished, ACCOUNT),
    "check": lambda ledger: ledger.ask(ACCOUNT, Checked(another(1, "+14155559999"), redial=False)),
    "reserve": lambda ledger: ledger.handle(
        ACCOUNT, Requested(Checked(another(1, "+14155559999"), redial=False))
    ),
    "calls_before": lambda ledger: ledger.read(
        all_accounts.calls_before, all_accounts.Position(), ago(days=9999).timestamp(), 100
    ),
    "in progress": lambda ledger: Admin(ledger, "").calls(CallGroup.IN_PROGRESS, None, 100),
    "audit of all": lambda ledger: Admin(ledger, "").audit(WantedEntries(), 20),
    "accounts_like": lambda ledger: Admin(ledger, ACCOUNT.api).accounts_like("account"),
    "find_work": lambda ledger: ledger.read(upkeep.find_work, None),
    "take_due": take,
    "late_calls": lambda ledger: ledger.read(expiry.late_calls),
    "expire": lambda ledger: ledger.handle(ACCOUNT, Late(["t-due-7"])),
    "end_unreadable": lambda ledger: ledger.write(
        ACCOUNT, expiry.end_unreadable, ACCOUNT, ["t-due-7"]
    ),
    "purge": lambda ledger: ledger.write(None, upkeep.purge, DAY),
}


WHEN_MANY_ARE_DUE = ("find_work", "take_due", "late_calls", "expire")


ENDED_LIST: dict[str, object] = ACCOUNT.columns | {
    "list_id": "l",
    "fingerprint": "l",
    "request": "{}",
    "why": "done",
    "passed": 0,
    "timezone": "UTC",
    "worker": "",
    "asked_at": ago(days=20).timestamp(),
    "ended_at": ago(days=20).timestamp(),
}


async def fill(database: Database, count: int) -> None:
    """Let the ledger have so many calls and lists that are over, and three calls in progress."""
    for table in ("calls", "call_lists", "call_words"):
        await database.write(partial(Tx.run, statement=f"DELETE FROM {table}"))  # noqa: S608 - ours
    await add_records(database, over(), count)
    await add_rows(database, "call_lists", ENDED_LIST, count)
    await add_records(database, replace(asked(), fingerprint="sent", state=CallState.SENT), 3)
    await analyze(database)


async def reads(
    ledger: Ledger, database: Database, counting: CountingDatabase, count: int
) -> dict[str, int]:
    """How much each use of a ledger with so many records reads."""
    await fill(database, count)
    read: dict[str, int] = {}
    for name in sorted(USES, key=lambda name: name in WHEN_MANY_ARE_DUE):
        if name == WHEN_MANY_ARE_DUE[0]:
            await add_records(database, due(timedelta(days=1)), count)
            await analyze(database)
        await USES[name](ledger)
        read[name] = counting.read_last
    return read


async def test_a_larger_ledger_reads_no_more(
    ledger: Ledger, database: Database, counting: CountingDatabase
) -> None:
    few = await reads(ledger, database, counting, FEW)
    many = await reads(ledger, database, counting, MANY)

    assert [name for name in USES if many[name] > 1.5 * few[name] + 200] == []


async def test_upkeep_takes_a_hundred_calls_at_once(
    ledger: Ledger, database: Database, clock: ManualClock
) -> None:
    await add_records(database, due(), 350, interval=0.001)
    clock.advance(1)
    taken = [len(await take(ledger)) for _ in range(2)]
    taken_over = await ledger.handle(ACCOUNT, Adopt(await ledger.database.take_lease(), ()))
    clock.advance(3600)
    shown = await kept(ledger, "t-due-350")
    late = await ledger.read(expiry.late_calls)
    for account, ids in late:
        await ledger.handle(account, Late(ids))

    assert [*taken, len(taken_over)] == [100, 100, 100]
    assert shown.state is CallState.EXPIRED
    assert [len(ids) for _, ids in late] == [100, 100, 50]
    assert (await ledger.read(upkeep.find_work, None)).due_in == math.inf


async def test_the_newest_of_many_expired_are_listed(ledger: Ledger, database: Database) -> None:
    late = replace(due(), state=CallState.EXPIRED, ended_at=NOW)
    await add_records(database, late, 30)
    await add_records(
        database, replace(late, tracking_id="t-told", fingerprint="told", delivered_at=NOW), 30
    )

    assert len(await ledger.read(rows.list_unsettled, ACCOUNT)) == 30 + 20


async def test_old_records_are_deleted_by_the_hundred(ledger: Ledger, database: Database) -> None:
    await add_records(database, over(days=100), 250, interval=0)
    line: dict[str, object] = {
        "tracking_id": "t",
        "number": HERE,
        "risk_flags": "[]",
        "outcome": "placed",
    }
    audit = ACCOUNT.columns | line | {"at": ago(days=100).timestamp()}
    await add_rows(
        database, "audit", audit, 150, expressions={"at": "CAST(:at AS DOUBLE PRECISION) + i"}
    )
    await add_records(database, over(days=1, name="new"), 10)
    for name, seconds in (("expired", -1), ("new", 600)):
        await ledger.write(None, put, "code", name, "value", seconds)

    def count(tx: Tx) -> tuple[int, int]:
        return len(tx.rows("SELECT 1 FROM calls")), len(tx.rows("SELECT 1 FROM audit"))

    left = []
    while await ledger.write(None, upkeep.purge, 90 * DAY):
        left.append(await database.read(count))

    assert left == [(160, 0), (60, 0)]
    assert await database.read(count) == (10, 0)
    assert await database.read(lambda tx: tx.rows("SELECT name FROM shared_values")) == [
        {"name": "new"}
    ]


async def test_the_audit_trail_has_days_of_its_own(database: Database) -> None:
    timing = Timing(settings=Settings(audit_days=7))
    ledger = Ledger(database, policy=CallPolicy(), timing=timing)
    for days in (6, 8):
        line: dict[str, object] = {"tracking_id": "t", "number": HERE, "risk_flags": "[]"}
        said = {"outcome": "placed", "at": ago(days=days).timestamp()}
        await add_rows(database, "audit", ACCOUNT.columns | line | said, 1)
    await ledger.write(None, upkeep.purge, 90 * DAY)
    left = await ledger.read(rows.audit, ACCOUNT, 10)

    assert [entry["at"] for entry in left] == [ago(days=6)]


async def test_records_for_duplicates_are_kept_a_day(place: str, clock: ManualClock) -> None:
    service = Service(clock)
    async with world(
        service,
        place,
        timing=Timing(watch_active=600, watch_idle=600, purge=600, settings=Settings(keep_days=0)),
    ) as here:
        await here.tell(await here.call())
        await here.run(clock.sleep(3000))
        again = await here.place()
        clock.advance(86_400)
        await here.run(clock.sleep(1200))
        found = await here.run(here.calls.find(again.tracking_id))

    assert not again.is_new
    assert found is None


async def test_a_waiting_list_keeps_its_calls(place: str, clock: ManualClock) -> None:
    service = Service(clock, [*SUCCESS])
    async with world(
        service,
        place,
        timing=Timing(
            watch_active=3600, watch_idle=3600, purge=3600, settings=Settings(keep_days=1)
        ),
    ) as here:
        first = await stopped(here)
        await here.tell(first.records[0])
        await here.run(clock.sleep(3600 * 23))
        second = await went_on(here, first)
        await here.tell(second.records[1])
        await here.run(clock.sleep(3600 * 30))
        same, is_new = await asked_for(here)
        third = await went_on(here, same)

    assert not is_new
    assert same.list_id == first.list_id
    assert calls_of(third) == ["c-1", "c-2", "c-3"]
    assert len(service.keys) == 3
