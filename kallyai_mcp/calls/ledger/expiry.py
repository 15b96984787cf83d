"""Which scheduled calls were not placed in their time.

`records.is_late` is the rule. Every reader sees such a call as expired (`rows.readable`), also
before that is written. The event `Late` writes it, for whatever finds the call first: a worker that
looks for work, or an answer that tells a client.
"""

from collections.abc import Collection

from kallyai_mcp.calls.changes import BATCH
from kallyai_mcp.calls.ledger.base import Tx
from kallyai_mcp.calls.ledger.conditions import IS_SCHEDULED, MINE, list_ids
from kallyai_mcp.calls.ledger.stored_errors import error_to_json
from kallyai_mcp.calls.records import EXPIRED, AccountKey, CallState

_IS_LATE = f"{IS_SCHEDULED} AND place_by < :before"
"""The condition for calls that `records.is_late` is true of, before `Tx.expires_before`."""

_ERROR = error_to_json(EXPIRED)


def late_calls(tx: Tx) -> list[tuple[AccountKey, list[str]]]:
    """The tracking ids of the calls that are late, at most `BATCH` of one account in each item."""
    # A DISTINCT or ORDER BY would let SQLite read all scheduled calls.
    late = f"SELECT api, account, tracking_id FROM calls WHERE {_IS_LATE}"
    by_account: dict[AccountKey, list[str]] = {}
    for row in tx.rows(late, before=tx.expires_before):
        ids = by_account.setdefault(AccountKey(row["api"], row["account"]), [])
        ids.append(row["tracking_id"])
    return [
        (account, ids[first : first + BATCH])
        for account, ids in by_account.items()
        for first in range(0, len(ids), BATCH)
    ]


def end_unreadable(tx: Tx, account: AccountKey, ids: Collection[str]) -> None:
    """End those of an account's late calls that no event can end: this version can't read them."""
    tx.require_lock(account)
    listed, names = list_ids(ids)
    ended = "state = :expired, ended_at = :now, error = :error"
    tx.run(
        f"UPDATE calls SET {ended} WHERE {MINE} AND tracking_id IN ({listed}) AND {_IS_LATE}",
        expired=CallState.EXPIRED.value,
        error=_ERROR,
        now=tx.now,
        before=tx.expires_before,
        **account.columns,
        **names,
    )
