"""After `KALLYAI_KEEP_DAYS`, records go, told or not; those that go on stay."""

from dataclasses import replace
from datetime import timedelta

import pytest

from kallyai_mcp.calls.ledger import rows, upkeep
from kallyai_mcp.calls.ledger.base import Database, Ledger
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.schedule import Schedule
from tests.calls.ledgers import ACCOUNT, NOW, ago, asked
from tests.many_records import add_records, add_rows

KEPT_FOR = timedelta(days=90).total_seconds()

DEAD = "0000000a"
"""A worker that has died."""


def old(state: CallState, *, worker: str = DEAD, days: float = 91) -> CallRecord:
    """An old record without news for so many days, and whose end nobody was told."""
    at = ago(days=days)
    record = asked(worker=worker, asked_at=at, state=state)
    if state is not CallState.RESERVED:
        record = replace(record, sent_at=at)
    return record if record.is_open else replace(record, ended_at=at)


async def purged(ledger: Ledger, database: Database, record: CallRecord) -> bool:
    """Whether this record is no longer in the ledger after old ones were deleted."""
    await add_records(database, record, 1, interval=0)
    while await ledger.write(None, upkeep.purge, KEPT_FOR):
        pass
    return await ledger.read(rows.find, ACCOUNT, "t-1-1") is None


def a_list(list_id: str, **changes: object) -> dict[str, object]:
    """The row of a list that goes on, or with `changes`."""
    of_list = {"list_id": list_id, "fingerprint": list_id, "request": "{}", "passed": 0}
    at = ago(days=91).timestamp()
    return ACCOUNT.columns | of_list | {"timezone": "UTC", "worker": "", "asked_at": at} | changes


OVER = [state for state in CallState if not replace(asked(), state=state).is_open]


@pytest.mark.parametrize("state", [*OVER, CallState.SENT, CallState.RESERVED])
async def test_an_old_record_goes(ledger: Ledger, database: Database, state: CallState) -> None:
    assert CallState.UNKNOWN in OVER
    assert await purged(ledger, database, old(state))


@pytest.mark.parametrize("state", [*OVER, CallState.SENT, CallState.RESERVED])
async def test_a_younger_record_stays(
    ledger: Ledger,
    database: Database,
    state: CallState,
) -> None:
    assert not await purged(ledger, database, old(state, days=89))


@pytest.mark.parametrize("state", [CallState.SENT, CallState.RESERVED])
async def test_what_a_living_worker_runs_stays(
    ledger: Ledger,
    database: Database,
    state: CallState,
) -> None:
    worker = await database.take_lease()

    assert not await purged(ledger, database, old(state, worker=worker))


async def test_an_old_scheduled_call_stays(ledger: Ledger, database: Database) -> None:
    schedule = Schedule(NOW + timedelta(days=1), NOW + timedelta(days=1, minutes=30))

    assert not await purged(ledger, database, replace(old(CallState.SCHEDULED), schedule=schedule))


@pytest.mark.parametrize("news", ["sent_at", "response_lost_at", "ended_at"])
async def test_a_record_stays_after_its_last_news(
    ledger: Ledger,
    database: Database,
    news: str,
) -> None:
    """Such as a call that was asked for long before it was due."""
    heard = replace(old(CallState.UNKNOWN), **{news: ago(days=1)})  # type: ignore[arg-type]

    assert not await purged(ledger, database, heard)


@pytest.mark.parametrize(("hours", "goes"), [(23, False), (25, True)])
async def test_an_old_record_stays_a_day_after_delivery(
    ledger: Ledger, database: Database, hours: float, *, goes: bool
) -> None:
    """The same request within a minute gets it, and places no second call."""
    told = replace(old(CallState.ENDED), delivered_at=ago(hours=hours))

    assert await purged(ledger, database, told) is goes


async def test_a_list_that_nobody_runs_goes(ledger: Ledger, database: Database) -> None:
    await add_rows(database, "call_lists", a_list("l"), 1)
    in_list = replace(old(CallState.ENDED, days=91.1), tracking_id="t-first", fingerprint="first")
    await add_records(database, replace(in_list, call_id="c-first", plan_id="l-1"), 1)

    assert await purged(ledger, database, replace(old(CallState.SENT), plan_id="l-1"))
    for table in ("calls", "call_lists"):
        left = f"SELECT 1 FROM {table}"  # noqa: S608 - ours
        assert await database.read(lambda tx, left=left: tx.rows(left)) == []  # type: ignore[misc]


async def test_a_list_with_a_newer_call_stays(ledger: Ledger, database: Database) -> None:
    await add_rows(database, "call_lists", a_list("l"), 1)
    newer = replace(old(CallState.SENT, days=1), tracking_id="t-newer", fingerprint="newer")
    await add_records(database, replace(newer, plan_id="l-1"), 1)

    assert not await purged(ledger, database, replace(old(CallState.ENDED), plan_id="l-1"))
    assert len(await database.read(lambda tx: tx.rows("SELECT 1 FROM call_lists"))) == 1


@pytest.mark.parametrize(("hours", "stay"), [(23, 1), (25, 0)])
async def test_an_old_list_stays_a_day_after_delivery(
    ledger: Ledger, database: Database, hours: float, stay: int
) -> None:
    ended_at = ago(days=91).timestamp()
    await add_rows(database, "call_lists", a_list("l", ended_at=ended_at, why="done"), 1)
    told = replace(old(CallState.ENDED), plan_id="l-1", delivered_at=ago(hours=hours))
    await purged(ledger, database, told)

    assert len(await database.read(lambda tx: tx.rows("SELECT 1 FROM call_lists"))) == stay
