"""A scheduled call that was not placed in its time expires, whoever finds it first.

That is only when its time is certainly past: a clock that is wrong for seconds ends none.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import pytest

from kallyai_mcp.calls.errors import LedgerUnavailableError
from kallyai_mcp.calls.events import Late
from kallyai_mcp.calls.ledger import expiry
from kallyai_mcp.calls.ledger.apply import handle
from kallyai_mcp.calls.ledger.base import Database, Ledger, StatementError, Tx
from kallyai_mcp.calls.ledger.record_rows import to_row
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState, expired, is_late
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.calls.timing import Timing
from tests.calls.ledgers import ACCOUNT, NOW, WatchedDatabase, asked, database_at, kept, reserved
from tests.calls.manual_time import ManualClock
from tests.calls.process.test_scheduled import at, schedule
from tests.calls.world import Service, world

DUE = NOW + timedelta(hours=1)
LATE = DUE + timedelta(minutes=31)
WRONG = timedelta(hours=8)
OTHER = AccountKey(ACCOUNT.api, "account-2")

Result = TypeVar("Result")


def waiting(account: AccountKey = ACCOUNT) -> CallRecord:
    """A call that waits until `DUE`."""
    window = Schedule(DUE, DUE + timedelta(minutes=30))
    return asked(
        account=account,
        tracking_id=f"t-{account.account}",
        state=CallState.SCHEDULED,
        schedule=window,
    )


@pytest.mark.parametrize(
    ("minutes", "changes", "late"),
    [
        (-1, {}, False),
        (0, {}, False),
        (1, {}, True),
        (1, {"state": CallState.RESERVED}, False),
        (1, {"state": CallState.EXPIRED}, False),
        (1, {"schedule": Schedule()}, False),
    ],
)
def test_a_scheduled_call_is_late_after_its_time(
    minutes: int, changes: dict[str, Any], late: bool
) -> None:
    now = DUE + timedelta(minutes=30 + minutes)
    call = replace(waiting(), **changes)

    assert is_late(call, now) is late


async def test_a_late_call_is_read_as_ended(ledger: Ledger, clock: ManualClock) -> None:
    call = await reserved(ledger, waiting())
    clock.advance((LATE - NOW).total_seconds())
    read = await kept(ledger, call.tracking_id)
    await ledger.handle(ACCOUNT, Late(["t-account-1"]))
    ended = await kept(ledger, call.tracking_id)

    assert to_row(read) == to_row(ended) == to_row(expired(call, clock.now()))


async def test_late_calls_end_under_their_accounts_lock(ledger: Ledger, clock: ManualClock) -> None:
    for account in (ACCOUNT, OTHER):
        await reserved(ledger, waiting(account))
    clock.advance((LATE - NOW).total_seconds())
    late = await ledger.read(expiry.late_calls)
    with pytest.raises(StatementError, match="has not locked"):
        await ledger.write(OTHER, handle, ACCOUNT, Late(["t-account-1"]))
    await ledger.handle(OTHER, Late(["t-account-1", "t-account-2"]))

    assert dict(late) == {ACCOUNT: ["t-account-1"], OTHER: ["t-account-2"]}
    assert await ledger.read(expiry.late_calls) == [(ACCOUNT, ["t-account-1"])]


async def test_a_late_call_that_cannot_be_read_ends(
    ledger: Ledger, database: Database, clock: ManualClock
) -> None:
    await reserved(ledger, waiting())
    await database.write(partial(Tx.run, statement="UPDATE calls SET submission = '?'"))
    clock.advance((LATE - NOW).total_seconds())
    await ledger.write(ACCOUNT, expiry.end_unreadable, ACCOUNT, ["t-account-1"])

    [row] = await database.read(lambda tx: tx.rows("SELECT state FROM calls"))
    assert row["state"] == "expired"


async def test_a_late_call_that_was_told_is_delivered(place: str, clock: ManualClock) -> None:
    """No worker has written that it has expired."""
    timing = Timing(watch_active=3600, watch_idle=3600)
    async with world(Service(clock), place, timing=timing) as here:
        placed = await schedule(here, DUE)
        clock.advance((LATE - NOW).total_seconds())
        told = await here.find(placed.tracking_id)
        await here.tell(told)
        found = await here.find(placed.tracking_id)

    assert (told.state, told.delivered_at) == (CallState.EXPIRED, None)
    assert (found.state, found.delivered_at) == (CallState.EXPIRED, clock.now())


class LockedAccount(WatchedDatabase):
    """A database in which another process keeps the lock of the account `OTHER`."""

    async def write(
        self,
        work: Callable[[Tx], Result],
        account: AccountKey | None = None,
        *,
        is_durable: bool = True,
    ) -> Result:
        if account == OTHER:
            raise LedgerUnavailableError("the lock can't be had")
        return await super().write(work, account, is_durable=is_durable)


async def test_a_locked_account_keeps_no_due_call_waiting(place: str, clock: ManualClock) -> None:
    database = database_at(place, clock.now)
    ledger = Ledger(database, policy=CallPolicy(), timing=Timing())
    await reserved(ledger, waiting(OTHER))
    locked = LockedAccount(database, clock)
    async with world(Service(clock), place, database=locked) as here:
        placed = await schedule(here, LATE)
        await at(here, LATE)
        record = await here.outcome(placed)

    assert record.state is CallState.ENDED


@pytest.mark.parametrize(
    "offset", [0.0, None], ids=["KallyAI tells the time", "KallyAI tells no time"]
)
async def test_a_databases_short_clock_error_ends_no_call(
    place: str, clock: ManualClock, offset: float | None
) -> None:
    """PostgreSQL dates the records by its own clock."""
    ahead = timedelta(0)
    database = database_at(place, lambda: clock.now() + ahead)
    async with world(Service(clock, clock_offset=offset), place, database=database) as here:
        placed = await schedule(here, DUE)
        await here.run(clock.sleep(60))
        ahead = WRONG
        await here.run(clock.sleep(50))
        meanwhile = await here.find(placed.tracking_id)
        ahead = timedelta(0)
        await at(here, DUE)
        record = await here.outcome(placed)

    assert meanwhile.state is CallState.SCHEDULED
    assert record.state is CallState.ENDED
