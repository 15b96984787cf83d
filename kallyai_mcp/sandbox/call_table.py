"""The table of placed calls.

A call's outcome is written when it is placed; for a played call, at each step.
"""

import json
import math
import sqlite3
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from kallyai_mcp.sandbox.schemas import RefusedCall
from kallyai_mcp.sandbox.simulator.calendar import ics
from kallyai_mcp.sandbox.simulator.optional import if_there
from kallyai_mcp.sandbox.simulator.simulated_call import (
    Booking,
    Report,
    SimulatedCall,
    Slot,
    seconds_of,
    timestamp,
)
from kallyai_mcp.sandbox.simulator.simulation import CallFacts
from kallyai_mcp.sandbox.simulator.submission import TaskCategory
from kallyai_mcp.sandbox.store import insert

IN_PROGRESS = "in_progress"
"""The status of a call that has not ended. The reference lists final statuses only."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Call:
    """One placed call.

    `idempotency_key` is the one that still finds it. `fingerprint` is equal for bodies that ask for
    the same call. `tenths`: what it costs, in tenths of a minute. `calendar`: the iCalendar file of
    what was agreed.
    """

    call_id: str
    account_id: str
    idempotency_key: str | None
    fingerprint: str
    started_at: datetime
    ends_at: datetime
    status: str
    report: Report
    tenths: int
    transcript: list[dict[str, Any]] | None
    calendar: str | None
    submission: dict[str, Any]

    def has_ended(self, now: datetime) -> bool:
        """Whether the call has ended at `now` (aware)."""
        return now >= self.ends_at

    @property
    def said(self) -> list[dict[str, Any]]:
        """The turns of its transcript; none without one."""
        return self.transcript or []

    def said_until(self, now: datetime) -> list[dict[str, Any]]:
        """Return the turns that have begun by `now` (aware); the call may last longer or shorter
        than its conversation.
        """
        share = (now - self.started_at) / max(self.ends_at - self.started_at, timedelta.resolution)
        seconds = share * (self.report.duration_seconds or 0)
        return [turn for turn in self.said if seconds_of(turn["timestamp"]) <= seconds]

    def seen_at(self, now: datetime) -> dict[str, Any]:
        """Return the fields as clients see them at `now` (aware): without the outcome until the
        call has ended.
        """
        report = self.report.model_dump()
        if self.has_ended(now):
            return vars(self) | report
        hidden = dict.fromkeys((*report, "transcript", "calendar"))
        return vars(self) | {"status": IN_PROGRESS} | hidden


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _row(call: Call) -> dict[str, Any]:
    """The row of a call by column, in the order of the table; the reverse of `read`."""
    times = {name: _micros(getattr(call, name)) for name in ("started_at", "ends_at")}
    transcript = if_there(json.dumps, call.transcript)
    return {
        **vars(call),
        **times,
        "report": call.report.model_dump_json(),
        "transcript": transcript,
        "submission": json.dumps(call.submission),
    }


def read(row: sqlite3.Row | dict[str, Any]) -> Call:
    """Return the call of a row of `placed_calls`."""
    values = dict(row)
    for name in ("started_at", "ends_at"):
        values[name] = _EPOCH + timedelta(microseconds=values[name])
    for name in ("transcript", "submission"):
        values[name] = if_there(json.loads, values[name])
    values["report"] = Report.model_validate_json(values["report"])
    return Call(**values)


def add(db: sqlite3.Connection, call: Call) -> None:
    """Insert a new call."""
    insert(db, "placed_calls", _row(call))


def change_outcome(db: sqlite3.Connection, call: Call) -> None:
    """Write the end and the outcome of a call again."""
    db.execute(
        "UPDATE placed_calls SET ends_at = :ends_at, status = :status, report = :report,"
        " tenths = :tenths, transcript = :transcript, calendar = :calendar"
        " WHERE call_id = :call_id",
        _row(call),
    )


def by_id(db: sqlite3.Connection, account_id: str, call_id: str) -> Call | None:
    """Return the account's call with this id, or None; calls of other accounts are not found."""
    row = db.execute(
        "SELECT * FROM placed_calls WHERE account_id = ? AND call_id = ?", (account_id, call_id)
    ).fetchone()
    return if_there(read, row)


def by_key(db: sqlite3.Connection, account_id: str, key: str) -> Call | None:
    """Return the account's call that was placed with this Idempotency-Key, or None."""
    row = db.execute(
        "SELECT * FROM placed_calls WHERE account_id = ? AND idempotency_key = ?", (account_id, key)
    ).fetchone()
    return if_there(read, row)


def forget_key(db: sqlite3.Connection, call: Call) -> None:
    """Make the Idempotency-Key of `call` usable for a new call; only `all_calls` still returns it
    with `call`.
    """
    db.execute("INSERT INTO forgotten_keys VALUES (?, ?)", (call.call_id, call.idempotency_key))
    db.execute("UPDATE placed_calls SET idempotency_key = NULL WHERE call_id = ?", (call.call_id,))


def all_calls(db: sqlite3.Connection) -> list[Call]:
    """Return the calls of all accounts, oldest first, each with the Idempotency-Key that it was
    placed with.
    """
    forgotten = {
        row["call_id"]: row["idempotency_key"] for row in db.execute("SELECT * FROM forgotten_keys")
    }
    rows = db.execute("SELECT * FROM placed_calls ORDER BY started_at, rowid")
    return [
        replace(call, idempotency_key=forgotten.get(call.call_id, call.idempotency_key))
        for call in map(read, rows)
    ]


def outcome_of(result: SimulatedCall, facts: CallFacts) -> dict[str, Any]:
    """Return the fields of `Call` that follow from a simulation."""
    entries = [
        {
            "speaker": entry.speaker,
            "content": entry.content,
            "timestamp": timestamp(entry.at_seconds),
        }
        for entry in result.entries
    ]
    return {
        "status": result.status,
        "report": result.report,
        "tenths": math.ceil(round(result.seconds / 6, 6)),
        "transcript": entries or None,
        "calendar": if_there(
            lambda event: ics(event, call_id=facts.call_id, now=facts.now), result.event
        ),
    }


def bookings_with(db: sqlite3.Connection, number: str) -> tuple[Booking, ...]:
    """Return what calls to a number (E.164) have booked, moved, or canceled, of all accounts,
    oldest first.
    """
    rows = db.execute("SELECT * FROM bookings WHERE number = ? ORDER BY rowid", (number,))
    return tuple(map(_booking, rows))


def _booking(row: sqlite3.Row) -> Booking:
    return Booking(
        call_id=row["call_id"],
        booking_id=row["booking_id"],
        name=row["name"],
        category=TaskCategory(row["category"]),
        party=row["party"],
        slot=Slot(date.fromisoformat(row["day"]), if_there(time.fromisoformat, row["at"])),
        departs=if_there(date.fromisoformat, row["departs"]),
        is_canceled=bool(row["is_canceled"]),
    )


def remember(db: sqlite3.Connection, number: str, result: SimulatedCall) -> None:
    """Store what the callee of a number (E.164) remembers of a call: a booking that was made,
    moved, or canceled.
    """
    made = result.booking
    if made is None:
        return
    row = {
        "call_id": made.call_id,
        "number": number,
        "booking_id": made.booking_id,
        "name": made.name,
        "category": made.category,
        "party": made.party,
        "day": made.slot.day.isoformat(),
        "at": if_there(time.isoformat, made.slot.at),
        "is_canceled": made.is_canceled,
        "departs": if_there(date.isoformat, made.departs),
    }
    insert(db, "bookings", row)


def add_live(db: sqlite3.Connection, call_id: str) -> None:
    """Let the details of a call show how far it is."""
    db.execute("INSERT INTO live_calls VALUES (?)", (call_id,))


def is_live(db: sqlite3.Connection, call_id: str) -> bool:
    """Whether the details of a call show how far it is."""
    row = db.execute("SELECT 1 FROM live_calls WHERE call_id = ?", (call_id,)).fetchone()
    return row is not None


def clear(db: sqlite3.Connection) -> None:
    """Delete the calls of all accounts, and those that were refused."""
    outcomes = ("placed_calls", "played_calls", "live_calls", "bookings")
    for table in (*outcomes, "forgotten_keys", "refused_calls"):
        db.execute(f"DELETE FROM {table}")  # noqa: S608 - our names


def add_refused(db: sqlite3.Connection, refused: RefusedCall) -> None:
    """Store a call that was refused; only the newest 1,000 are kept."""
    db.execute("INSERT INTO refused_calls (refused) VALUES (?)", (refused.model_dump_json(),))
    db.execute("DELETE FROM refused_calls WHERE id <= (SELECT max(id) FROM refused_calls) - 1000")


def refused_calls(db: sqlite3.Connection) -> list[RefusedCall]:
    """Return the calls that were refused, oldest first."""
    rows = db.execute("SELECT refused FROM refused_calls ORDER BY id")
    return [RefusedCall.model_validate_json(row["refused"]) for row in rows]


def page(
    db: sqlite3.Connection, account_id: str, *, limit: int, offset: int
) -> tuple[list[Call], int]:
    """Return one page of the account's calls, newest first, and the number of calls on all
    pages.
    """
    rows = db.execute(
        "SELECT * FROM placed_calls WHERE account_id = ?"
        " ORDER BY started_at DESC, rowid DESC LIMIT ? OFFSET ?",
        (account_id, limit, offset),
    ).fetchall()
    total = db.execute(
        "SELECT count(*) FROM placed_calls WHERE account_id = ?", (account_id,)
    ).fetchone()[0]
    return list(map(read, rows)), total


def used(
    db: sqlite3.Connection, account_id: str, start: datetime, end: datetime
) -> tuple[int, int]:
    """Return the cost in tenths of a minute, and the number, of the account's calls placed in
    [start, end).
    """
    row = db.execute(
        "SELECT coalesce(sum(tenths), 0), count(*) FROM placed_calls"
        " WHERE account_id = ? AND started_at >= ? AND started_at < ?",
        (account_id, _micros(start), _micros(end)),
    ).fetchone()
    return row[0], row[1]
