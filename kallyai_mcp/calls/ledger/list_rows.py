"""The rows of lists in the ledger's tables, and which calls belong to a list, also to one of an older version."""

from typing import Any

from kallyai_mcp.calls import call_lists
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.ledger.base import Row, Tx
from kallyai_mcp.calls.ledger.rows import MINE, readable
from kallyai_mcp.calls.records import AccountKey, CallRecord

_CALLS_OF_LIST = f"SELECT * FROM calls WHERE {MINE} AND plan_id = :list_id"

_CALLS_OF_OLDER_VERSION = (
    "SELECT calls.* FROM call_list_calls CROSS JOIN calls "  # so that SQLite begins with the few rows
    "WHERE list_id = :list_id AND calls.tracking_id = call_list_calls.tracking_id "
    f"AND {MINE} AND plan_id IS NULL"
)
"""Selects the calls of a list that a process of an older version has made since the migration.

Before a call had a `plan_id`, a table of its own said which list it belonged to.
"""


def select_lists(tx: Tx, account: AccountKey, condition: str, **values: Any) -> list[CallList]:
    """The account's lists that meet a condition, with the records of their calls."""
    rows = tx.rows(f"SELECT * FROM call_lists WHERE {MINE} AND {condition}", **account.columns, **values)
    return [_with_calls(tx, account, row) for row in rows]


def _with_calls(tx: Tx, account: AccountKey, row: Row) -> CallList:
    """The list in a row, with the records of its calls, also those of an older version."""
    found: list[Row] = []
    for calls in (_CALLS_OF_LIST, _CALLS_OF_OLDER_VERSION):
        found += tx.rows(calls, list_id=row["list_id"], **account.columns)
    records = readable(tx, found)
    read = {record.tracking_id for record in records}
    unreadable = [call["number"] for call in found if call["tracking_id"] not in read]
    return call_lists.from_row(row, records, unreadable)


def list_id_of(tx: Tx, record: CallRecord) -> str | None:
    """The list that a call belongs to, also one of an older version; None for a call alone."""
    if record.plan_id is not None:
        return record.plan_id
    lists = "SELECT list_id FROM call_list_calls WHERE tracking_id = :id"
    ties = tx.rows(lists, id=record.tracking_id)
    return next((tie["list_id"] for tie in ties), None)
