"""How a scheduled call ends that was not placed in its time.

`records.is_late` is the rule. Every reader sees such a call as expired (`rows.readable`), also
before that is written. `end_late` writes it, for whatever finds the call first: a worker that looks
for work or was to place it, a request for the same call, or an answer that tells a client.
"""

from collections.abc import Collection

from kallyai_mcp.calls.call_lists import StopReason
from kallyai_mcp.calls.ledger.base import BATCH, Row, Tx
from kallyai_mcp.calls.ledger.conditions import IS_SCHEDULED, MINE, list_ids, state_in
from kallyai_mcp.calls.ledger.stored_errors import error_to_json
from kallyai_mcp.calls.records import EXPIRED, OPEN, AccountKey, CallState

_IS_LATE = f"{IS_SCHEDULED} AND place_by < :before"
"""The condition for calls that `records.is_late` is true of, before `Tx.expires_before`."""

_ERROR = error_to_json(EXPIRED)


def late_calls(tx: Tx) -> list[tuple[AccountKey, list[str]]]:
    """The tracking ids of the calls to `expire`, at most `BATCH` of one account in each item."""
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


def expire(tx: Tx, account: AccountKey, ids: Collection[str]) -> None:
    """End those of an account's calls that are late, by their tracking ids, and stop their lists.

    This includes calls that this version can't read.
    """
    listed, names = list_ids(ids)
    late = f"SELECT tracking_id FROM calls WHERE tracking_id IN ({listed}) AND {_IS_LATE}"
    found = tx.rows(late, before=tx.expires_before, **names)
    for row in end_late(tx, account, [row["tracking_id"] for row in found]):
        _stop_list(tx, row["plan_id"])


def end_late(tx: Tx, account: AccountKey, late: Collection[str]) -> list[Row]:
    """End late calls of an account, by their tracking ids; returns the rows of those that were
    still scheduled.
    """
    tx.require_lock(account)
    listed, names = list_ids(late)
    ended = "state = :expired, ended_at = :now, error = :error"
    return tx.rows(
        f"UPDATE calls SET {ended} WHERE {MINE} AND tracking_id IN ({listed}) AND {IS_SCHEDULED} "
        "RETURNING *",
        expired=CallState.EXPIRED.value,
        error=_ERROR,
        now=tx.now,
        **account.columns,
        **names,
    )


def _stop_list(tx: Tx, list_id: str | None) -> None:
    """Stop the list of a call that has expired, unless it goes on with another call.

    The time in which it may place calls is over.
    """
    goes_on = f"SELECT 1 FROM calls WHERE plan_id = :id AND {state_in(*OPEN)}"
    tx.run(
        "UPDATE call_lists SET why = :why, ended_at = :now "
        f"WHERE list_id = :id AND why IS NULL AND NOT EXISTS ({goes_on})",
        why=StopReason.REFUSED.value,
        now=tx.now,
        id=list_id,
    )
