"""The transactions that take over the records of workers that have died, and that delete what is old."""

from collections.abc import Collection, Iterator

from kallyai_mcp.calls.ledger.base import BATCH, Tx
from kallyai_mcp.calls.ledger.rows import ACTIVE, change, select
from kallyai_mcp.calls.records import AccountKey, CallRecord

_OLD_CALLS = (
    "placed_at < :before AND state IN ('ended', 'refused', 'canceled', 'expired') AND delivered_at IS NOT NULL "
    "AND NOT EXISTS (SELECT 1 FROM call_list_calls AS kept WHERE kept.tracking_id = calls.tracking_id)"
)
"""The condition for calls that may be deleted (rule 7): not active, unknown, undelivered, or of a list that is kept."""

_OLD_LISTS = "ended_at < :before AND ended_at < :waited"

_AGED = (("audit", "at", "before"), ("shared_values", "expires_at", "now"))
"""The other tables with old rows: the table, the column with a time, and the time before which its rows are old."""


def has_abandoned(tx: Tx, worker: str | None, known: Collection[str] = ()) -> bool:
    """Whether there are active records, of any account, that no living process runs.

    `worker` is the one that asks, None for a process without one; it runs the records with the `known` tracking ids.
    """
    mine = tx.rows(f"SELECT tracking_id FROM calls WHERE {ACTIVE} AND worker = :me", me=worker or "")
    return any(row["tracking_id"] not in known for row in mine) or any(_dead_workers(tx, worker))


def take_over(tx: Tx, account: AccountKey, worker: str, known: Collection[str] = ()) -> list[CallRecord]:
    """Give `worker` the account's active records that no living process runs; returns them.

    They are records of workers that have died, and records of `worker` that are not among the `known` tracking ids: a
    transaction may be committed without a confirmation. A record that this version can't read is left to a newer one.
    """
    of_worker = f"{ACTIVE} AND worker = :known_worker"
    found = [one for one in select(tx, account, of_worker, known_worker=worker) if one.tracking_id not in known]
    for dead in _dead_workers(tx, worker):
        of_dead = {"known_worker": dead}
        records = select(tx, account, of_worker, **of_dead)
        taken = (change(tx, record.tracking_id, of_worker, {"worker": worker}, **of_dead) for record in records)
        found += [record for record in taken if record is not None]
    return found


def _dead_workers(tx: Tx, worker: str | None) -> Iterator[str]:
    """The workers other than `worker` that have active records and have died."""
    others = f"SELECT DISTINCT worker FROM calls WHERE {ACTIVE} AND worker <> :worker"
    return (row["worker"] for row in tx.rows(others, worker=worker or "") if tx.is_abandoned(row["worker"]))


def has_old(tx: Tx, seconds: float) -> bool:
    """Whether `purge` would delete anything."""
    old = [("calls", _OLD_CALLS), ("call_lists", _OLD_LISTS), *((name, f"{at} < :{time}") for name, at, time in _AGED)]
    values = _times(tx, seconds)
    return any(tx.rows(f"SELECT 1 AS found FROM {table} WHERE {which} LIMIT 1", **values) for table, which in old)


def purge(tx: Tx, seconds: float) -> None:
    """Delete delivered records and audit entries that are older than `seconds`, and expired shared values.

    It deletes the oldest `BATCH` of each. A record that is active, unknown, not yet delivered, or of a list that is
    kept is never deleted.
    """
    values = _times(tx, seconds) | {"most": BATCH}
    for row in tx.rows(f"SELECT list_id FROM call_lists WHERE {_OLD_LISTS} ORDER BY ended_at LIMIT :most", **values):
        if tx.run(f"DELETE FROM call_lists WHERE list_id = :id AND {_OLD_LISTS}", id=row["list_id"], **values):
            tx.run("DELETE FROM call_list_calls WHERE list_id = :id", id=row["list_id"])
    oldest = f"SELECT tracking_id FROM calls WHERE {_OLD_CALLS} ORDER BY placed_at LIMIT :most {tx.SKIP_LOCKED}"
    tx.run(
        f"WITH old AS ({oldest}) DELETE FROM calls WHERE tracking_id IN (SELECT tracking_id FROM old) AND {_OLD_CALLS}",
        **values,
    )
    for table, at, time in _AGED:
        last = f"SELECT {at} FROM {table} WHERE {at} < :{time} ORDER BY {at} LIMIT 1 OFFSET :most - 1"
        tx.run(f"DELETE FROM {table} WHERE {at} < :{time} AND {at} <= COALESCE(({last}), :{time})", **values)


def _times(tx: Tx, seconds: float) -> dict[str, float]:
    now = tx.now()
    return {"before": now - seconds, "waited": now - tx.config.timing.wait_for_user, "now": now}
