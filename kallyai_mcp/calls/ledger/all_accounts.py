"""What the operator of a server reads about the calls of all accounts.

Each read takes an index, and has a limit.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any

from kallyai_mcp.calls.ledger.base import Row, Tx
from kallyai_mcp.calls.ledger.conditions import IS_ACTIVE, IS_SCHEDULED, MINE, WAS_ALLOWED, list_ids
from kallyai_mcp.calls.ledger.emptied import is_emptied
from kallyai_mcp.calls.ledger.rows import as_written
from kallyai_mcp.calls.operator import AuditEntry, CallGroup, KnownCall, WantedEntries
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.calls.tracking_ids import by_id
from kallyai_mcp.clock import moment, moment_or_none

PAGE = 500
"""How many rows are read at a time."""

_IS_LATE = "place_by < :now"

_WITH_AN_INDEX: Mapping[CallGroup, str] = {
    CallGroup.IN_PROGRESS: IS_ACTIVE,
    CallGroup.SCHEDULED: f"{IS_SCHEDULED} ORDER BY not_before",
    CallGroup.DUE: f"{IS_SCHEDULED} AND not_before <= :now AND NOT {_IS_LATE} ORDER BY not_before",
    CallGroup.LATE: f"{IS_SCHEDULED} AND {_IS_LATE} ORDER BY place_by",
}
"""The groups of calls that have not ended: each has an index."""


_IS_OF_CALL = f"""
{WAS_ALLOWED} AND (substr(tracking_id, 1, :length) = :call OR tracking_id IN
    (SELECT tracking_id FROM calls WHERE substr(call_id, 1, :length) = :call))
"""
"""Whether an entry is about the call whose id begins with `:call`."""


@dataclass(frozen=True)
class Position:
    """A call in the order of time: the calls after it in a list, the newest first, are older."""

    asked_at: float = inf
    tracking_id: str = ""


@dataclass(frozen=True)
class Page:
    """Some calls, the newest first; `last` is the position of the last one, None at the end."""

    calls: tuple[KnownCall, ...]
    last: Position | None


def has_index(group: CallGroup) -> bool:
    """Whether the calls of a group are found at once (`open_calls`)."""
    return group in _WITH_AN_INDEX


def open_calls(tx: Tx, group: CallGroup, most: int) -> list[KnownCall]:
    """The calls of a group that have not ended: those that are due first, or asked for last."""
    rows = tx.rows(
        f"SELECT * FROM calls WHERE {_WITH_AN_INDEX[group]} LIMIT :most", now=tx.now, most=most
    )
    if group is CallGroup.IN_PROGRESS:
        rows.sort(key=lambda row: row["placed_at"], reverse=True)
    return list(_known(rows))


def calls_before(tx: Tx, position: Position, since: float, most: int = PAGE) -> Page:
    """So many of the calls that are older than a position, and not older than `since`."""
    older = "placed_at <= :at AND (placed_at < :at OR tracking_id < :id)"
    rows = tx.rows(
        f"SELECT * FROM calls WHERE placed_at >= :since AND {older} "
        "ORDER BY placed_at DESC, tracking_id DESC LIMIT :most",
        since=since,
        at=position.asked_at,
        id=position.tracking_id,
        most=most,
    )
    last = None
    if len(rows) == most:
        last = Position(rows[-1]["placed_at"], rows[-1]["tracking_id"])
    return Page(tuple(_known(rows)), last)


def before(until: datetime | None) -> Position:
    """The position of the calls that were asked for before then; for None, of all."""
    return Position() if until is None else Position(until.timestamp())


def audit_entries(tx: Tx, api: str, wanted: WantedEntries, most: int) -> list[AuditEntry]:
    """The newest entries of the audit trail that are wanted, with their calls.

    For a number or a call, it reads all entries of the time if few fit.
    """
    conditions: list[str] = []
    values: dict[str, Any] = {"most": most}
    for condition, its_values in _conditions(api, wanted):
        conditions.append(condition)
        values |= its_values
    rows = tx.rows(
        f"SELECT * FROM audit WHERE {' AND '.join(conditions)} "
        "ORDER BY at DESC, tracking_id DESC LIMIT :most",
        **values,
    )
    ids = [row["tracking_id"] for row in rows if _was_allowed(row)]
    calls: dict[str, KnownCall] = {}
    for first in range(0, len(ids), PAGE):
        calls |= _calls_by_id(tx, ids[first : first + PAGE])
    return [_entry(row, calls) for row in rows]


def _conditions(api: str, wanted: WantedEntries) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The conditions of SQL on the wanted entries, with their values."""
    since = wanted.since.timestamp() if wanted.since is not None else 0.0
    yield "at >= :since", {"since": since}
    if wanted.until is not None:
        yield "at < :until", {"until": wanted.until.timestamp()}
    if wanted.account is not None:
        yield MINE, AccountKey(api, wanted.account).columns
    if wanted.number is not None:
        yield "number LIKE :number", {"number": wanted.number}
    if wanted.call is not None:
        yield _IS_OF_CALL, {"call": wanted.call, "length": len(wanted.call)}


def accounts_like(tx: Tx, api: str, beginning: str) -> list[str]:
    """The ids of accounts that begin so, of any table; after the second one, no more are looked
    for.
    """
    found: set[str] = set()
    for table in ("calls", "call_lists", "opt_outs", "audit"):
        after = beginning
        for _ in range(2):
            least = _least_account(tx, table, api, after, f"{beginning}g")
            if least is None:
                break
            found.add(least)
            after = f"{least}0"  # the next one in this order
    return sorted(found)[:2]


def _least_account(tx: Tx, table: str, api: str, first: str, end: str) -> str | None:
    """The first account from `first` on, before `end`: ids are hexadecimal."""
    between = "api = :api AND account >= :first AND account < :end"
    rows = tx.rows(
        f"SELECT account FROM {table} WHERE {between} ORDER BY account LIMIT 1",
        api=api,
        first=first,
        end=end,
    )
    return rows[0]["account"] if rows else None


def _calls_by_id(tx: Tx, ids: Collection[str]) -> dict[str, KnownCall]:
    listed, names = list_ids(ids)
    rows = tx.rows(f"SELECT * FROM calls WHERE tracking_id IN ({listed})", **names)
    return {call.tracking_id: call for call in _known(rows)}


def _was_allowed(row: Row) -> bool:
    """Whether an entry is about a call that has a record; one that was refused has none."""
    return not row["outcome"].startswith("refused:")


def _entry(row: Row, calls: Mapping[str, KnownCall]) -> AuditEntry:
    return AuditEntry(
        at=moment(row["at"]),
        account=AccountKey(row["api"], row["account"]),
        number=row["number"],
        decision=row["outcome"],
        asked_by=row["asked_by"],
        how=row["how"],
        risk_flags=tuple(json.loads(row["risk_flags"])),
        tracking_id=row["tracking_id"] if _was_allowed(row) else None,
        call=calls.get(row["tracking_id"]),
    )


def _known(rows: Collection[Row]) -> Iterator[KnownCall]:
    """What is known of the calls in rows, also of those that this version can't read."""
    readable = by_id(as_written(rows))
    for row in rows:
        if is_emptied(row):
            continue
        known = KnownCall(
            tracking_id=row["tracking_id"],
            call_id=row["call_id"],
            account=AccountKey(row["api"], row["account"]),
            number=row["number"],
            state=row["state"],
            asked_at=moment(row["placed_at"]),
            due_at=moment_or_none(row["not_before"]),
        )
        record = readable.get(known.tracking_id)
        yield known if record is None else known.with_end_of(record)
