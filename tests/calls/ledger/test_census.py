"""How many calls an operator has to watch, in each state."""

from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from kallyai_mcp.calls.census import Group, WatchedState, census
from kallyai_mcp.calls.ledger.base import Ledger, Tx
from kallyai_mcp.calls.ledger.census import COUNT_GROUPS, count_groups
from kallyai_mcp.calls.ledger.record_rows import to_row
from kallyai_mcp.calls.ledger.rows import insert
from kallyai_mcp.calls.ledger.sqlite import SqliteDatabase
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.schedule import Schedule
from tests.calls.ledgers import NOW, another

STATES = {
    (CallState.RESERVED, False, False): WatchedState.IN_PROGRESS,
    (CallState.SENT, True, True): WatchedState.IN_PROGRESS,
    (CallState.SCHEDULED, False, False): None,
    (CallState.SCHEDULED, True, False): WatchedState.DUE,
    (CallState.SCHEDULED, True, True): WatchedState.LATE,
    (CallState.UNKNOWN, True, True): WatchedState.UNKNOWN,
    (CallState.ENDED, False, False): None,
}


def test_a_call_counts_by_its_state_and_time() -> None:
    for (state, is_due, is_late), expected in STATES.items():
        counted = census([Group(state, is_due, is_late, 2)])

        assert counted == {watched: 2 * (watched is expected) for watched in WatchedState}


def test_all_calls_of_a_state_count() -> None:
    reserved = Group(CallState.RESERVED, is_due=False, is_late=False, number=2)
    sent = Group(CallState.SENT, is_due=True, is_late=False, number=3)

    assert census([reserved, sent])[WatchedState.IN_PROGRESS] == 5


def scheduled(number: int, begins: float, ends: float) -> CallRecord:
    """A call that may be placed in so many minutes."""
    schedule = Schedule(NOW + timedelta(minutes=begins), NOW + timedelta(minutes=ends))
    return another(number, state=CallState.SCHEDULED, schedule=schedule)


async def test_the_ledger_counts_calls_of_all_accounts(ledger: Ledger) -> None:
    records = [
        another(1),
        replace(another(2), account=replace(another(2).account, account="account-2")),
        scheduled(3, -5, 25),
        scheduled(4, -40, -10),
        scheduled(5, 5, 35),
        another(6, state=CallState.UNKNOWN),
        another(7, state=CallState.ENDED),
    ]

    for record in records:
        await ledger.write(record.account, lambda tx, row: insert(tx, "calls", row), to_row(record))

    counted = census(await ledger.read(count_groups))
    assert counted == {
        WatchedState.IN_PROGRESS: 2,
        WatchedState.DUE: 1,
        WatchedState.LATE: 1,
        WatchedState.UNKNOWN: 1,
    }


async def test_the_ledger_counts_by_an_index(tmp_path: Path) -> None:
    def plan(tx: Tx) -> list[str]:
        found = tx.rows(f"EXPLAIN QUERY PLAN {COUNT_GROUPS}", now=tx.now)
        return [row["detail"] for row in found]

    async with aclosing(SqliteDatabase(tmp_path / "calls.db")) as database:
        steps = await database.read(plan)

    assert steps[0] == "SCAN calls USING INDEX calls_unsettled"
