"""The transactions that find work for a worker, take over records of workers that have died, and delete old ones."""

from collections.abc import Collection
from dataclasses import dataclass
from math import inf

from kallyai_mcp.calls.ledger.base import BATCH, Tx
from kallyai_mcp.calls.ledger.rows import ACTIVE, change, select
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState

_OLD_CALLS = (
    "placed_at < :before AND state IN ('ended', 'refused', 'canceled', 'expired') AND delivered_at IS NOT NULL "
    "AND NOT EXISTS (SELECT 1 FROM call_lists WHERE list_id = calls.plan_id)"
)
"""The condition for calls that may be deleted (rule 7): not active, unknown, undelivered, or of a list that is kept."""

_OLD_LISTS = "ended_at < :before AND ended_at < :waited"


@dataclass(frozen=True, kw_only=True)
class Work:
    """What the ledger has to do for a worker, in the records of all accounts."""

    is_abandoned: bool  # no living process runs some active records
    is_in_progress: bool  # living processes run some
    is_due: bool  # a scheduled call is due, or too late to be placed
    due_in: float  # seconds until the next scheduled call is due, infinite without one


def find_work(tx: Tx, worker: str | None, known: Collection[str] = ()) -> Work:
    """What there is to do for `worker`, None for a process without one.

    It runs the records with the `known` ids.
    """
    active = tx.rows(f"SELECT tracking_id, worker FROM calls WHERE {ACTIVE}")
    mine = {row["tracking_id"] for row in active if row["worker"] == worker}
    others = {row["worker"] for row in active if row["worker"] != worker}
    dead = {other for other in others if tx.is_abandoned(other)}
    scheduled = "SELECT MIN(not_before) FROM calls WHERE state = 'scheduled'"
    first_and_next = f"SELECT ({scheduled}) AS first, ({scheduled} AND not_before > :now) AS next"
    due = tx.rows(first_and_next, now=tx.now)[0]
    return Work(
        is_abandoned=bool(dead or mine.difference(known)),
        is_in_progress=bool(mine.intersection(known) or others - dead),
        is_due=due["first"] is not None and due["first"] <= tx.now,
        due_in=due["next"] - tx.now if due["next"] is not None else inf,
    )


def take_over(tx: Tx, account: AccountKey, worker: str, known: Collection[str]) -> list[CallRecord]:
    """Give `worker` up to `BATCH` of the account's active records that no living process runs; returns them.

    They are records of workers that have died, and records of `worker` that are not among the `known` tracking ids: a
    transaction may be committed without a confirmation. A call that was due, and whose request has not left, is
    scheduled again: it is placed, or it expires. A record that this version can't read is left to a newer one.
    """
    active, found = select(tx, account, ACTIVE), list[CallRecord]()
    dead = {other for other in {record.worker for record in active} - {worker} if tx.is_abandoned(other)}
    unknown = {record.tracking_id for record in active if record.worker == worker} - {*known}
    for record in [one for one in active if one.worker in dead or one.tracking_id in unknown][:BATCH]:
        is_due = record.state is CallState.RESERVED and record.schedule.not_before is not None
        columns = {"worker": worker, "state": CallState.SCHEDULED.value if is_due else record.state.value}
        taken = change(tx, record.tracking_id, ACTIVE, columns)
        found += [taken] if taken is not None else []
    return found


def purge(tx: Tx, seconds: float) -> bool:
    """Delete delivered records and audit entries that are older than `seconds`, and expired shared values.

    It deletes up to `BATCH` calls and lists; returns whether there may be more.
    """
    now = tx.now
    values = {"before": now - seconds, "waited": now - tx.timing.wait_for_user, "most": BATCH}
    lists = tx.rows(f"SELECT list_id FROM call_lists WHERE {_OLD_LISTS} ORDER BY ended_at LIMIT :most", **values)
    for row in lists:  # in one statement, PostgreSQL would read all lists
        tx.run(f"DELETE FROM call_lists WHERE list_id = :id AND {_OLD_LISTS}", id=row["list_id"], **values)
    old = f"SELECT tracking_id FROM calls WHERE {_OLD_CALLS} ORDER BY placed_at LIMIT :most"
    calls = tx.rows(f"DELETE FROM calls WHERE tracking_id IN ({old}) AND {_OLD_CALLS} RETURNING tracking_id", **values)
    tx.run("DELETE FROM audit WHERE at < :before", **values)
    tx.run("DELETE FROM shared_values WHERE expires_at < :now", now=now)
    return BATCH in (len(lists), len(calls))
