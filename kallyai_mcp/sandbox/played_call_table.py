"""The table of played calls (a person or a program plays the callee): what the callee has said so far."""

import json
import sqlite3
from dataclasses import dataclass

from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.call_table import Call
from kallyai_mcp.sandbox.simulator.scenario import Turn

PLAYED_CALLS_SCHEMA = """
CREATE TABLE IF NOT EXISTS played_calls (
    call_id TEXT PRIMARY KEY,
    number TEXT NOT NULL,
    timezone TEXT NOT NULL,
    is_rejected INTEGER NOT NULL DEFAULT 0,
    turns TEXT NOT NULL DEFAULT '[]',
    is_settled INTEGER NOT NULL DEFAULT 0
);
"""
"""DDL for `Store`, repeatable."""

_SELECT = (
    "SELECT calls.*, number, timezone, is_rejected, turns, is_settled FROM played_calls JOIN calls USING (call_id)"
)


@dataclass(frozen=True)
class PlayedCall:
    """A call in which somebody plays the callee.

    Attributes:
        call: The call, with the outcome that it will have if nobody does anything more.
        number: The number that is called, in E.164.
        timezone: The time zone of the request.
        is_rejected: Somebody has hung up without picking up.
        turns: What the callee has said; empty until somebody picks up.
        is_settled: The call has ended, and its agreement is stored.
    """

    call: Call
    number: str
    timezone: str
    is_rejected: bool
    turns: tuple[Turn, ...]
    is_settled: bool


def _read(row: sqlite3.Row) -> PlayedCall:
    values = dict(row)
    number, timezone = values.pop("number"), values.pop("timezone")
    is_rejected, is_settled = bool(values.pop("is_rejected")), bool(values.pop("is_settled"))
    turns = tuple(Turn.model_validate(turn) for turn in json.loads(values.pop("turns")))
    return PlayedCall(call_table.read(values), number, timezone, is_rejected, turns, is_settled)


def add(db: sqlite3.Connection, call_id: str, number: str, timezone: str) -> None:
    """Insert a new call that is in `calls`."""
    db.execute("INSERT INTO played_calls (call_id, number, timezone) VALUES (?, ?, ?)", (call_id, number, timezone))


def change(db: sqlite3.Connection, played: PlayedCall) -> None:
    """Write a changed call and its outcome."""
    call_table.change_outcome(db, played.call)
    turns = json.dumps([turn.model_dump(mode="json", exclude_defaults=True) for turn in played.turns])
    db.execute(
        "UPDATE played_calls SET is_rejected = ?, turns = ?, is_settled = ? WHERE call_id = ?",
        (played.is_rejected, turns, played.is_settled, played.call.call_id),
    )


def by_id(db: sqlite3.Connection, call_id: str) -> PlayedCall | None:
    """Return the call with this id, or None."""
    row = db.execute(f"{_SELECT} WHERE call_id = ?", (call_id,)).fetchone()
    return _read(row) if row else None


def newest(db: sqlite3.Connection, limit: int) -> list[PlayedCall]:
    """Return the newest calls of all accounts, at most `limit`, newest first."""
    rows = db.execute(f"{_SELECT} ORDER BY started_at DESC, calls.rowid DESC LIMIT ?", (limit,))
    return [_read(row) for row in rows]


def not_settled(db: sqlite3.Connection) -> list[PlayedCall]:
    """Return the calls that are not settled, oldest first."""
    rows = db.execute(f"{_SELECT} WHERE NOT is_settled ORDER BY started_at, calls.rowid")
    return [_read(row) for row in rows]


def clear(db: sqlite3.Connection) -> list[str]:
    """Delete all played calls, and return their ids."""
    return [row["call_id"] for row in db.execute("DELETE FROM played_calls RETURNING call_id")]
