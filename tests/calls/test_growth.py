"""A ledger that has grown is as fast as a small one, and no transaction takes more than a hundred records."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest

from kallyai_mcp.calls.ledger.base import Database, Transaction
from kallyai_mcp.calls.ledger.ledger import Ledger
from kallyai_mcp.calls.ledger.postgres import PostgresDatabase
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.calls.timing import Timing
from tests.calls.ledgers import database_at
from tests.calls.manual_time import ManualClock
from tests.calls.samples import ACCOUNT, HERE, NOW, ago, another, asked, outcome
from tests.many_records import add_records, add_rows

FEW, MANY = 200, 5000
HUNDRED = 100
DAY = 86_400.0

Result = TypeVar("Result")


class CountingDatabase:
    """A database that counts what its transactions read: rows with PostgreSQL, steps of its machine with SQLite.

    Attributes:
        read_last: How much the last transaction read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.read_last = 0

    async def read(self, work: Callable[[Transaction], Result], *, empty: Result) -> Result:
        return await self._database.read(lambda tx: self._counted(tx, work), empty=empty)

    async def write(self, work: Callable[[Transaction], Result]) -> Result:
        return await self._database.write(lambda tx: self._counted(tx, work))

    async def take_lease(self) -> str:
        return await self._database.take_lease()

    async def aclose(self) -> None:
        await self._database.aclose()

    def _counted(self, tx: Transaction, work: Callable[[Transaction], Result]) -> Result:
        if isinstance(self._database, PostgresDatabase):
            before = _rows_read(tx)
            result = work(tx)
            self.read_last = _rows_read(tx) - before
            return result
        connection: sqlite3.Connection = tx._connection  # type: ignore[attr-defined]  # noqa: SLF001
        self.read_last = 0

        def count() -> None:
            self.read_last += 1

        connection.set_progress_handler(count, 1)
        try:
            return work(tx)
        finally:
            connection.set_progress_handler(None, 0)


def _rows_read(tx: Transaction) -> int:
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
        placed_at=at,
        ended_at=at,
        delivered_at=at,
    )


def due(after: timedelta = timedelta(0)) -> CallRecord:
    """A call that is due so long after `NOW`."""
    schedule = Schedule(NOW + after, NOW + after + timedelta(minutes=30))
    scheduled = replace(asked(), tracking_id="t-due", fingerprint="due", state=CallState.SCHEDULED)
    return replace(scheduled, placed_at=ago(hours=1), schedule=schedule)


@pytest.fixture
async def database(place: str, clock: ManualClock) -> AsyncIterator[Database]:
    async with aclosing(database_at(place, clock.now)) as database:
        yield database


@pytest.fixture
def counting(database: Database) -> CountingDatabase:
    return CountingDatabase(database)


@pytest.fixture
def ledger(counting: CountingDatabase) -> Ledger:
    """The ledger in `counting`."""
    return Ledger(counting, policy=CallPolicy(), timing=Timing())


Use = Callable[[Ledger], Awaitable[object]]


async def take(ledger: Ledger) -> list[CallRecord]:
    return await ledger.take_due(ACCOUNT, "0000000a", most=HUNDRED, service_time=lambda: None)


USES: dict[str, Use] = {
    "list_unsettled": lambda ledger: ledger.list_unsettled(ACCOUNT),
    "find_ended": lambda ledger: ledger.find_ended(ACCOUNT, [f"c-over-{number}" for number in range(10)]),
    "find by tracking_id": lambda ledger: ledger.find(ACCOUNT, "t-over-7"),
    "find by call_id": lambda ledger: ledger.find(ACCOUNT, "c-over-7"),
    "list_newest": lambda ledger: ledger.list_newest(ACCOUNT, 10),
    "list_unfinished": lambda ledger: ledger.lists.list_unfinished(ACCOUNT),
    "precheck": lambda ledger: ledger.precheck(another(1, "+14155559999"), redial=False),
    "reserve": lambda ledger: ledger.reserve(another(1, "+14155559999"), redial=False),
    "has_abandoned": lambda ledger: ledger.has_abandoned(None),
    "has_due": lambda ledger: ledger.has_due(),
    "take_due": take,
    "expire": lambda ledger: ledger.expire(),
    "purge": lambda ledger: ledger.purge(DAY),
}


@pytest.mark.parametrize("name", USES)
async def test_a_use_of_the_ledger_reads_no_more_when_the_ledger_has_grown(
    ledger: Ledger, database: Database, counting: CountingDatabase, name: str
) -> None:
    """It has calls and lists that are over, three calls in progress, and, for what is done when one is due, others."""
    at = ago(days=20).timestamp()
    of_list: dict[str, object] = {"list_id": "l", "fingerprint": "l", "request": "{}", "why": "done", "passed": 0}
    ended_list = ACCOUNT.columns | of_list | {"timezone": "UTC", "worker": "", "asked_at": at, "ended_at": at}
    read: list[int] = []
    for count in (FEW, MANY):
        await database.write(lambda tx: (tx.run("DELETE FROM calls"), tx.run("DELETE FROM call_lists")))
        await add_records(database, over(), count)
        if name in ("has_due", "take_due", "expire"):
            await add_records(database, due(timedelta(days=1)), count)
        await add_rows(database, "call_lists", ended_list, count)
        await add_records(database, replace(asked(), fingerprint="sent", state=CallState.SENT), 3)
        await analyze(database)
        await USES[name](ledger)
        read.append(counting.read_last)

    few, many = read
    assert many <= 1.5 * few + 200


async def test_of_ten_thousand_calls_that_are_due_each_transaction_takes_a_hundred(
    ledger: Ledger, database: Database, counting: CountingDatabase, clock: ManualClock
) -> None:
    await add_records(database, due(), 10_000, interval=0)
    await analyze(database)
    clock.advance(1)

    first = await take(ledger)
    read = counting.read_last
    new, is_new = await ledger.reserve(another(1), redial=False)
    second = await take(ledger)

    assert len(first) == len(second) == HUNDRED
    assert {record.state for record in first} == {CallState.RESERVED}
    assert not {record.tracking_id for record in first} & {record.tracking_id for record in second}
    assert (is_new, new.state) == (True, CallState.RESERVED)
    assert read < 200_000


async def test_calls_that_a_limit_refuses_when_they_are_due_are_taken_out_of_the_way(
    database: Database, clock: ManualClock
) -> None:
    ledger = Ledger(database, policy=CallPolicy(calls_per_hour=5), timing=Timing())
    await add_records(database, due(), 250, interval=0)
    clock.advance(1)
    states = [record.state for _ in range(3) for record in await take(ledger)]

    assert len(states) == 250
    assert states.count(CallState.RESERVED) == 5
    assert states.count(CallState.REFUSED) == 245
    assert await take(ledger) == []


async def test_thousands_of_calls_expire_a_hundred_at_a_time(
    ledger: Ledger, database: Database, clock: ManualClock
) -> None:
    await add_records(database, due(), 1050, interval=0)
    clock.advance(3600)
    shown = await ledger.find(ACCOUNT, "t-due-1050")
    numbers = [await ledger.expire() for _ in range(12)]

    assert shown is not None
    assert shown.state is CallState.EXPIRED
    assert numbers == [HUNDRED] * 10 + [50, 0]
    assert not await ledger.has_due()


async def test_a_call_that_is_too_late_does_not_stand_in_the_way_of_the_same_one(
    ledger: Ledger, database: Database, clock: ManualClock
) -> None:
    """Also when hundreds of others, which were due before, have not expired yet."""
    late = replace(asked(), state=CallState.SCHEDULED, schedule=due(timedelta(minutes=1)).schedule)
    await add_records(database, due(), 300, interval=0)
    await ledger.reserve(late, redial=False)
    clock.advance(3600)

    _, is_new = await ledger.reserve(asked(2), redial=False)
    kept = await ledger.find(ACCOUNT, late.tracking_id)

    assert is_new
    assert kept is not None
    assert kept.state is CallState.EXPIRED


async def test_old_records_are_deleted_a_hundred_at_a_time(ledger: Ledger, database: Database) -> None:
    await add_records(database, over(days=100), 950, interval=0)
    line: dict[str, object] = {"tracking_id": "t", "number": HERE, "risk_flags": "[]", "outcome": "placed"}
    audit = ACCOUNT.columns | line | {"at": ago(days=100).timestamp()}
    await add_rows(database, "audit", audit, 950, expressions={"at": "CAST(:at AS DOUBLE PRECISION) + i"})
    await add_records(database, over(days=1, name="new"), 10)

    def count(tx: Transaction) -> tuple[int, int]:
        [calls] = tx.rows("SELECT COUNT(*) AS number FROM calls")
        [lines] = tx.rows("SELECT COUNT(*) AS number FROM audit")
        return calls["number"], lines["number"]

    left = []
    while await ledger.purge(90 * DAY):
        left.append(await database.read(count, empty=(0, 0)))

    assert left == [(960 - HUNDRED * batch, 950 - HUNDRED * batch) for batch in range(1, 10)] + [(10, 0)]
