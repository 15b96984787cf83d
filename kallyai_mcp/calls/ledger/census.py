"""Counts the calls of all accounts by what an operator watches."""

from kallyai_mcp.calls.census import Group
from kallyai_mcp.calls.ledger.base import Tx
from kallyai_mcp.calls.ledger.conditions import IS_SCHEDULED, state_in
from kallyai_mcp.calls.records import ACTIVE, CallState

_OPEN_OR_UNKNOWN = state_in(*ACTIVE, CallState.UNKNOWN, CallState.SCHEDULED)
"""In this order, in which SQLite uses the index `calls_unsettled`."""

COUNT_GROUPS = (
    f"SELECT state, CASE WHEN {IS_SCHEDULED} AND not_before <= :now THEN 1 ELSE 0 END AS is_due, "
    f"CASE WHEN {IS_SCHEDULED} AND place_by < :now THEN 1 ELSE 0 END AS is_late, "
    f"COUNT(*) AS number FROM calls WHERE {_OPEN_OR_UNKNOWN} GROUP BY 1, 2, 3"
)


def count_groups(tx: Tx) -> list[Group]:
    """The calls that are open or unknown, by what they have in common."""
    return [
        Group(CallState(row["state"]), bool(row["is_due"]), bool(row["is_late"]), row["number"])
        for row in tx.rows(COUNT_GROUPS, now=tx.now)
    ]
