"""The transactions of events.

An event is written when somebody reads events: `note` numbers the records that have ended since the last time. So the
code that ends a record need not know about events, and no event is lost in a crash. The account is locked meanwhile, so
that events are numbered in the order in which readers see them.
"""

import json
from typing import Any

from kallyai_mcp.calls.events import ENDED, NEEDS_DECISION, Event, EventPage, data_of, event_id
from kallyai_mcp.calls.ledger.base import Row, Tx, moment
from kallyai_mcp.calls.ledger.reservation import lock_account, readable
from kallyai_mcp.calls.records import AccountKey, CallRecord

_OWN = "api = :api AND account = :account"
UNNOTED = "ended_at IS NOT NULL AND (noted_at IS NULL OR noted_at <> ended_at)"
"""The condition for a call that has ended since the last `note`."""

_UNNOTED = f"FROM calls WHERE {_OWN} AND {UNNOTED}"


def has_unnoted(tx: Tx, account: AccountKey) -> bool:
    """Whether `note` would write anything."""
    if _last_position(tx, account) is None:
        return True
    return bool(tx.rows(f"SELECT 1 AS found {_UNNOTED} LIMIT 1", **account.columns))


def note(tx: Tx, account: AccountKey) -> None:
    """Write the events of the calls that have ended since the last time. The first time, only remember those calls."""
    lock_account(tx, account)
    position = _last_position(tx, account)
    if position is not None:
        for record in readable(tx.rows(f"SELECT * {_UNNOTED} ORDER BY ended_at, tracking_id", **account.columns)):
            if record.ended_at is not None:
                id_ = event_id(record, record.state.value)
                position += _insert(tx, account, position + 1, id_, ENDED, record.ended_at.timestamp(), data_of(record))
    tx.run(
        f"UPDATE calls SET noted_at = ended_at WHERE tracking_id IN (SELECT tracking_id {_UNNOTED})", **account.columns
    )
    tx.run(f"UPDATE accounts SET events = :position WHERE {_OWN}", position=position or 0, **account.columns)


def note_decision(tx: Tx, list_id: str, record: CallRecord) -> None:
    """Write the event that a call list stops after the call of `record`, if somebody has read the account's events."""
    if _last_position(tx, record.account) is None:
        return
    note(tx, record.account)  # the end of the call comes first
    position = _last_position(tx, record.account) or 0
    data = {"list_id": list_id, **data_of(record)}
    position += _insert(tx, record.account, position + 1, event_id(record, list_id), NEEDS_DECISION, tx.now(), data)
    tx.run(f"UPDATE accounts SET events = :position WHERE {_OWN}", position=position, **record.account.columns)


def read(tx: Tx, account: AccountKey, after: int | None, since: float | None, most: int) -> EventPage:
    """At most `most` events after a position; see `Ledger.events`. `since` is in seconds since the epoch."""
    last = _last_position(tx, account) or 0
    if after is None:
        return EventPage((), last)
    if after > last:  # a position of another ledger
        return EventPage((), last, has_gap=True)
    rows = tx.rows(
        f"SELECT * FROM events WHERE {_OWN} AND position > :after ORDER BY position LIMIT :most",
        after=after,
        most=most + 1,
        **account.columns,
    )
    has_gap = after < last and (not rows or rows[0]["position"] > after + 1)
    found = rows[:most]
    events = tuple(_event(row) for row in found if since is None or row["at"] >= since)
    position = found[-1]["position"] if found else last
    return EventPage(events, position, len(rows) <= most, has_gap or len(events) < len(found))


def _last_position(tx: Tx, account: AccountKey) -> int | None:
    rows = tx.rows(f"SELECT events FROM accounts WHERE {_OWN}", **account.columns)
    return rows[0]["events"] if rows else None


def _insert(tx: Tx, account: AccountKey, position: int, id_: str, name: str, at: float, data: dict[str, Any]) -> int:
    """Write an event unless the ledger has it; returns how many were written, 0 or 1."""
    return tx.run(
        "INSERT INTO events (api, account, position, event_id, name, at, data) "
        "VALUES (:api, :account, :position, :event_id, :name, :at, :data) "
        "ON CONFLICT (api, account, event_id) DO NOTHING",
        position=position,
        event_id=id_,
        name=name,
        at=at,
        data=json.dumps(data),
        **account.columns,
    )


def _event(row: Row) -> Event:
    return Event(row["position"], row["event_id"], row["name"], moment(row["at"]), json.loads(row["data"]))
