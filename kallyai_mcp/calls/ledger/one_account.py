"""All that the ledger has of one account: read for its user, or deleted."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from kallyai_mcp.calls.changes import BATCH
from kallyai_mcp.calls.errors import AccountInUseError
from kallyai_mcp.calls.ledger import emptied, opt_outs, search_index
from kallyai_mcp.calls.ledger.base import Row, Tx
from kallyai_mcp.calls.ledger.conditions import IS_ACTIVE, IS_SCHEDULED, MINE, list_ids
from kallyai_mcp.calls.operator import Deleted
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.clock import moment

_TABLES = {
    "calls": "placed_at, tracking_id",
    "call_lists": "asked_at, list_id",
    "opt_outs": "day, number",
    "audit": "at, tracking_id",
}
"""The tables with rows of an account, and the order in which they are read."""

_PAGE = 500
_HAS_WORDS = "submission <> ''"
"""The condition for calls that were not emptied."""

_JSON = ("submission", "outcome", "calendar", "spoken", "error", "earlier", "request", "risk_flags")
_TIMES = (
    *("placed_at", "sent_at", "response_lost_at", "ended_at", "delivered_at", "noted_at"),
    *("not_before", "place_by", "asked_at", "at"),
)


def counts(tx: Tx, account: AccountKey) -> dict[str, int]:
    """How many rows the account has in each table."""
    found = {}
    for table in _TABLES:
        more = f" AND {_HAS_WORDS}" if table == "calls" else ""
        counted = f"SELECT COUNT(*) AS rows_of FROM {table} WHERE {MINE}{more}"
        found[table] = tx.rows(counted, **account.columns)[0]["rows_of"]
    return found


def page(tx: Tx, account: AccountKey, table: str, first: int) -> list[dict[str, Any]]:
    """Some rows of the account in a table, after the `first` ones, as its user can read them; none
    at the end.
    """
    rows = tx.rows(
        f"SELECT * FROM {table} WHERE {MINE} ORDER BY {_TABLES[table]} LIMIT :most OFFSET :first",
        most=_PAGE,
        first=first,
        **account.columns,
    )
    return [_as_json(row) for row in rows]


def tables() -> Collection[str]:
    """The tables with rows of an account."""
    return _TABLES.keys()


def check_none_runs(tx: Tx, account: AccountKey) -> None:
    """Raise `AccountInUseError` if a living worker runs a call of the account."""
    active = tx.rows(f"SELECT worker FROM calls WHERE {IS_ACTIVE} AND {MINE}", **account.columns)
    workers = {row["worker"] for row in active}
    if not all(map(tx.is_abandoned, workers)):
        raise AccountInUseError("A call of this account is in progress.")


def delete_some(tx: Tx, account: AccountKey) -> Deleted:
    """Delete up to `BATCH` calls of an account, those that wait first; with the last ones, all else
    that it has.

    Raises:
        AccountInUseError: A living worker runs a call of it.
    """
    tx.require_lock(account)
    check_none_runs(tx, account)
    found = _first_calls(tx, account)
    kept = [row for row in found if emptied.must_stay(row, tx.now)]
    for row in kept:
        emptied.empty(tx, row)
    _delete_calls(tx, [row for row in found if row not in kept])
    search_index.remove(tx, [row["tracking_id"] for row in found])
    opt_outs.remove_lifted(tx, [row["call_id"] for row in found if row["call_id"] is not None])
    is_more = len(found) >= BATCH
    if not is_more:
        _delete_others(tx, account)
    return Deleted(len(found), len(kept), is_more=is_more)


def _first_calls(tx: Tx, account: AccountKey) -> list[Row]:
    """Calls of an account that were not emptied, those that wait first; `BATCH` or more if more may
    be left.
    """
    found = _calls(tx, account, IS_SCHEDULED)
    if len(found) >= BATCH:
        return found
    others = f"NOT ({IS_SCHEDULED}) AND {_HAS_WORDS}"
    return found + _calls(tx, account, f"{others} ORDER BY placed_at")


def _calls(tx: Tx, account: AccountKey, condition: str) -> list[Row]:
    some = f"SELECT * FROM calls WHERE {MINE} AND {condition} LIMIT :most"
    return tx.rows(some, most=BATCH, **account.columns)


def _delete_calls(tx: Tx, rows: Collection[Row]) -> None:
    listed, names = list_ids([row["tracking_id"] for row in rows])
    tx.run(f"DELETE FROM calls WHERE tracking_id IN ({listed})", **names)


def _delete_others(tx: Tx, account: AccountKey) -> None:
    lists = f"SELECT list_id FROM call_lists WHERE {MINE}"
    tx.run(f"DELETE FROM call_list_calls WHERE list_id IN ({lists})", **account.columns)
    for table in ("call_lists", "opt_outs", "audit", "accounts"):
        tx.run(f"DELETE FROM {table} WHERE {MINE}", **account.columns)


def _as_json(row: Row) -> dict[str, Any]:
    known: Mapping[str, Any] = {name: value for name, value in row.items() if value is not None}
    return {name: _value(name, value) for name, value in known.items()}


def _value(name: str, value: Any) -> Any:
    if name in _TIMES:
        return moment(value).isoformat(timespec="seconds")
    if name in _JSON and value:
        return _parsed(value)
    return value


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # a text of a newer version
        return text
