"""The transactions for records of workers that have died, for calls that come too late, and for what is old."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.ledger.base import BATCH, Tx
from kallyai_mcp.calls.ledger.reservation import readable
from kallyai_mcp.calls.ledger.schema import ACTIVE
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState, error_text
from kallyai_mcp.calls.timing import Timing

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
    old = [
        ("calls", _OLD_CALLS),
        ("call_lists", _OLD_LISTS),
        *((table, f"{at} < :{time}") for table, at, time in _AGED),
    ]
    values = _times(tx, seconds, timing)
    return any(tx.rows(f"SELECT 1 AS found FROM {table} WHERE {which} LIMIT 1", **values) for table, which in old)


def purge(tx: Tx, seconds: float, timing: Timing) -> None:
    """Delete the oldest `BATCH` rows of each table that are older than `seconds`; see `Ledger.purge`."""
    values = _times(tx, seconds, timing) | {"most": BATCH}
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


def _times(tx: Tx, seconds: float, timing: Timing) -> dict[str, float]:
    return {"before": tx.now() - seconds, "waited": tx.now() - timing.wait_for_user, "now": tx.now()}


def _other_workers(tx: Tx, worker: str | None) -> list[str]:
    """The workers other than `worker` that have active records."""
    rows = tx.rows(
        f"SELECT DISTINCT worker FROM calls WHERE state IN {ACTIVE} AND worker <> :worker",
        worker=worker or "",
    )
    return [row["worker"] for row in rows]


_LATE = "state = 'scheduled' AND place_by < :now"


def expired_error() -> KallyAIError:
    """The error of an expired call for which no other reason was noted."""
    return KallyAIError("No program that could place the call ran when it was due.", code="expired")


def as_it_is(tx: Tx, record: CallRecord) -> CallRecord:
    """`record`, but expired if it is too late to be placed, even if no worker has written that yet."""
    place_by = record.schedule.place_by
    if record.state is not CallState.SCHEDULED or place_by is None or place_by.timestamp() >= tx.now():
        return record
    return replace(record, state=CallState.EXPIRED, ended_at=place_by, error=record.error or expired_error())


def expire(tx: Tx) -> int:
    """End up to `BATCH` scheduled calls, of all accounts, that are too late to be placed; returns how many."""
    late = f"SELECT tracking_id FROM calls WHERE {_LATE} ORDER BY place_by LIMIT :most {tx.SKIP_LOCKED}"
    return _expire(tx, "tracking_id IN (SELECT tracking_id FROM late)", f"WITH late AS ({late})", most=BATCH)


def expire_same(tx: Tx, asked: CallRecord) -> None:
    """End the scheduled call with the fingerprint of `asked`, if it is too late to be placed."""
    this = "api = :api AND account = :account AND fingerprint = :fingerprint"
    _expire(tx, this, fingerprint=asked.fingerprint, **asked.account.columns)


def expire_shown(tx: Tx, record: CallRecord) -> None:
    """End a scheduled call that `as_it_is` has shown as expired."""
    _expire(tx, "tracking_id = :id", id=record.tracking_id)


def _expire(tx: Tx, which: str, first: str = "", **values: Any) -> int:
    expired = tx.rows(
        f"{first} UPDATE calls SET state = 'expired', ended_at = :now, error = COALESCE(error, :error) "
        f"WHERE {_LATE} AND {which} RETURNING tracking_id",
        now=tx.now(),
        error=error_text(expired_error()),
        **values,
    )
    return len(expired)
