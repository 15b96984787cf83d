"""The transactions for records of workers that have died, and for records that are old enough to be deleted."""

from collections.abc import Collection

from kallyai_mcp.calls.ledger.base import Tx
from kallyai_mcp.calls.ledger.reservation import readable
from kallyai_mcp.calls.ledger.schema import ACTIVE
from kallyai_mcp.calls.records import AccountKey, CallRecord
from kallyai_mcp.calls.timing import Timing

_OLD = (
    "FROM call_lists WHERE ended_at < :before AND ended_at < :waited",
    "FROM call_list_calls WHERE list_id NOT IN (SELECT list_id FROM call_lists)",
    "FROM calls WHERE placed_at < :before AND state IN ('ended', 'refused', 'canceled', 'expired') "
    "AND delivered_at IS NOT NULL AND tracking_id NOT IN (SELECT tracking_id FROM call_list_calls)",
    "FROM audit WHERE at < :before",
    "FROM events WHERE at < :before",
    "FROM shared_values WHERE expires_at < :now",
)
"""The rows that may be deleted (rule 7): no record that is active, unknown, undelivered, or of a list that is kept."""


def has_abandoned(tx: Tx, worker: str | None, known: Collection[str] = ()) -> bool:
    """Whether there are active records, of any account, that no living process runs.

    Args:
        tx: The transaction.
        worker: The worker that asks; None for a process without one.
        known: The tracking ids of the records that this worker runs.
    """
    mine = tx.rows(f"SELECT tracking_id FROM calls WHERE state IN {ACTIVE} AND worker = :me", me=worker or "")
    return any(row["tracking_id"] not in known for row in mine) or any(
        tx.is_abandoned(name) for name in _other_workers(tx, worker)
    )


def take_over(tx: Tx, account: AccountKey, worker: str, known: Collection[str] = ()) -> list[CallRecord]:
    """Give `worker` the account's active records that no living process runs; returns them.

    They are records of workers that have died, and records of `worker` that are not among the `known` tracking ids: a
    transaction may be committed without a confirmation. A record that this version can't read is left to a newer one.
    """
    active = f"SELECT * FROM calls WHERE state IN {ACTIVE} AND api = :api AND account = :account AND worker ="
    found = [r for r in readable(tx.rows(f"{active} :me", me=worker, **account.columns)) if r.tracking_id not in known]
    for dead in _other_workers(tx, worker):
        if not tx.is_abandoned(dead):
            continue
        for record in readable(tx.rows(f"{active} :dead", dead=dead, **account.columns)):
            rows = tx.rows(
                "UPDATE calls SET worker = :worker WHERE tracking_id = :id AND worker = :dead "
                f"AND state IN {ACTIVE} RETURNING *",
                worker=worker,
                dead=dead,
                id=record.tracking_id,
            )
            found += readable(rows)
    return found


def is_purgeable(tx: Tx, seconds: float, timing: Timing) -> bool:
    """Whether `purge` would delete anything; the arguments are the same."""
    values = _times(tx, seconds, timing)
    return any(tx.rows(f"SELECT 1 AS found {each} LIMIT 1", **values) for each in _OLD)


def purge(tx: Tx, seconds: float, timing: Timing) -> None:
    """Delete what is older than `seconds`; see `Ledger.purge`."""
    values = _times(tx, seconds, timing)
    for each in _OLD:
        tx.run(f"DELETE {each}", **values)


def _times(tx: Tx, seconds: float, timing: Timing) -> dict[str, float]:
    return {"before": tx.now() - seconds, "waited": tx.now() - timing.wait_for_user, "now": tx.now()}


def _other_workers(tx: Tx, worker: str | None) -> list[str]:
    """The workers other than `worker` that have active records."""
    rows = tx.rows(
        f"SELECT DISTINCT worker FROM calls WHERE state IN {ACTIVE} AND worker <> :worker",
        worker=worker or "",
    )
    return [row["worker"] for row in rows]
