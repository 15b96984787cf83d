"""The calls that were placed, as rows. What a call comes to is written down once, when it is placed."""

import json
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

CALLS_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    call_id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    idempotency_key TEXT,
    fingerprint TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    highlights TEXT,
    next_steps TEXT,
    duration_seconds REAL NOT NULL,
    tenths INTEGER NOT NULL,
    transcript TEXT,
    calendar TEXT,
    submission TEXT NOT NULL,
    UNIQUE (account_id, idempotency_key)
);
CREATE INDEX IF NOT EXISTS calls_by_account ON calls (account_id, started_at);
"""
"""The DDL; moments are whole microseconds since 1970 in UTC."""

IN_PROGRESS = "in_progress"
"""The status of a call that has not ended yet; the reference only lists final ones."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Call:
    """One call, from the moment it was placed.

    `duration_seconds` is the conversation's; `ends_at` lies that long after `started_at`, divided by the speed.
    `tenths` is what the call costs of the plan, in tenths of a minute. `transcript` holds the reference's entries,
    None when there is none; `calendar` is the .ics, None when nothing was agreed that has a date.
    """

    call_id: str
    account_id: str
    idempotency_key: str | None
    fingerprint: str
    started_at: datetime
    ends_at: datetime
    status: str
    highlights: str | None
    next_steps: str | None
    duration_seconds: float
    tenths: int
    transcript: list[dict[str, Any]] | None
    calendar: str | None
    submission: dict[str, Any]

    def is_over(self, now: datetime) -> bool:
        """Whether the conversation has ended by `now` (aware)."""
        return now >= self.ends_at


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _read(row: sqlite3.Row) -> Call:
    values = dict(row)
    for name in ("started_at", "ends_at"):
        values[name] = _moment(values[name])
    for name in ("transcript", "submission"):
        values[name] = None if values[name] is None else json.loads(values[name])
    return Call(**values)


def add(db: sqlite3.Connection, call: Call) -> None:
    """Write a new call down.

    Raises:
        sqlite3.IntegrityError: The account has used this Idempotency-Key before.
    """
    db.execute(
        "INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            call.call_id,
            call.account_id,
            call.idempotency_key,
            call.fingerprint,
            _micros(call.started_at),
            _micros(call.ends_at),
            call.status,
            call.highlights,
            call.next_steps,
            call.duration_seconds,
            call.tenths,
            None if call.transcript is None else json.dumps(call.transcript),
            call.calendar,
            json.dumps(call.submission),
        ),
    )


def by_id(db: sqlite3.Connection, account_id: str, call_id: str) -> Call | None:
    """The account's call with this id, or None; other accounts' calls are not found."""
    row = db.execute("SELECT * FROM calls WHERE account_id = ? AND call_id = ?", (account_id, call_id)).fetchone()
    return _read(row) if row else None


def by_key(db: sqlite3.Connection, account_id: str, idempotency_key: str) -> Call | None:
    """The account's call that was placed with this Idempotency-Key, or None."""
    row = db.execute(
        "SELECT * FROM calls WHERE account_id = ? AND idempotency_key = ?", (account_id, idempotency_key)
    ).fetchone()
    return _read(row) if row else None


def page(db: sqlite3.Connection, account_id: str, *, limit: int, offset: int) -> tuple[list[Call], int]:
    """At most `limit` of the account's calls after the first `offset`, newest first; and how many there are in all."""
    rows = db.execute(
        "SELECT * FROM calls WHERE account_id = ? ORDER BY started_at DESC, rowid DESC LIMIT ? OFFSET ?",
        (account_id, limit, offset),
    ).fetchall()
    total = db.execute("SELECT count(*) FROM calls WHERE account_id = ?", (account_id,)).fetchone()[0]
    return [_read(row) for row in rows], total


def used(db: sqlite3.Connection, account_id: str, start: datetime, end: datetime) -> tuple[int, int]:
    """Tenths of a minute and number of the calls that the account placed from `start` until before `end`."""
    row = db.execute(
        "SELECT coalesce(sum(tenths), 0), count(*) FROM calls"
        " WHERE account_id = ? AND started_at >= ? AND started_at < ?",
        (account_id, _micros(start), _micros(end)),
    ).fetchone()
    return row[0], row[1]
