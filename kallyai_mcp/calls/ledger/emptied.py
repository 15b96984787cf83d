"""What stays of a call whose record the operator has deleted (`kallyai-mcp admin forget`).

For a day, an emptied row has only the hashes of what was asked for: so the same request, which a
client may send again, places no second call. No version can read it as a record.
"""

from collections.abc import Collection, Mapping
from typing import Any

from kallyai_mcp.calls.ledger import shared_values
from kallyai_mcp.calls.ledger.base import Row, Tx
from kallyai_mcp.calls.ledger.conditions import list_ids
from kallyai_mcp.calls.records import NOT_PLACED, CallState

DAY = 86_400.0

_KIND = "emptied_call"
"""The kind of the shared values that say until when an emptied row stays."""

_NOTHING = {
    **dict.fromkeys(("number", "submission", "timezone", "worker"), ""),
    **dict.fromkeys(("session_id", "call_id", "outcome", "calendar", "error", "reached")),
    **dict.fromkeys(("confirmation_id", "not_before", "place_by", "earlier", "plan_id")),
    **dict.fromkeys(("about_call_id", "spoken", "agreed_opt_out", "delivered_at")),
}
"""What the columns of an emptied row have in place of their values."""

_OVER: Mapping[str, str] = {CallState.SENT: "unknown", CallState.SCHEDULED: "canceled"}
"""What becomes of the state of a call that has not ended: nothing is done with it any more."""

_NEWS = ("placed_at", "sent_at", "response_lost_at", "ended_at", "delivered_at")

_BATCH = 100


def is_emptied(row: Mapping[str, Any]) -> bool:
    """Whether nothing but hashes stays of a call."""
    return not row["submission"]


def must_stay(row: Row, now: float) -> bool:
    """Whether the same request may still come, for a call that may have been placed."""
    newest = max(row[name] or 0.0 for name in _NEWS)
    return newest > now - DAY and _may_have_been_placed(row)


def empty(tx: Tx, row: Row) -> None:
    """Empty a row for a day."""
    settings = ", ".join(f"{name} = :{name}" for name in _NOTHING)
    tx.run(
        f"UPDATE calls SET {settings}, state = :state WHERE tracking_id = :id",
        **_NOTHING,
        state=_OVER.get(row["state"], row["state"]),
        id=row["tracking_id"],
    )
    shared_values.put(tx, _KIND, row["tracking_id"], "", seconds=DAY)


def purge(tx: Tx) -> None:
    """Delete the emptied rows whose day is over, before what says so is deleted."""
    over = f"SELECT name FROM shared_values WHERE kind = '{_KIND}' AND expires_at < :now"
    ids = [row["name"] for row in tx.rows(over, now=tx.now)]
    for first in range(0, len(ids), _BATCH):
        _delete(tx, ids[first : first + _BATCH])


def _delete(tx: Tx, ids: Collection[str]) -> None:
    listed, names = list_ids(ids)
    tx.run(f"DELETE FROM calls WHERE tracking_id IN ({listed}) AND submission = ''", **names)


def _may_have_been_placed(row: Row) -> bool:
    """Whether KallyAI may have placed it: also one that 429 has refused."""
    if row["state"] == CallState.RESERVED:  # nothing was sent
        return False
    return row["state"] not in NOT_PLACED or row["response_lost_at"] is not None
