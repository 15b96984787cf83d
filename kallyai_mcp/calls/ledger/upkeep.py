"""The transactions that find work for a worker, and delete old records."""

from collections.abc import Collection
from dataclasses import dataclass
from math import inf
from typing import Any

from kallyai_mcp.calls import lists
from kallyai_mcp.calls.changes import BATCH
from kallyai_mcp.calls.duplicates import may_have_reached_nobody
from kallyai_mcp.calls.ledger import emptied, list_rows, search_index
from kallyai_mcp.calls.ledger.base import Tx
from kallyai_mcp.calls.ledger.conditions import IS_ACTIVE, IS_SCHEDULED, list_ids, state_in
from kallyai_mcp.calls.ledger.rows import select
from kallyai_mcp.calls.ledger.view import SqlView
from kallyai_mcp.calls.records import OVER, AccountKey, CallRecord

_DAY = 86_400.0

_JUST_DELIVERED = "delivered_at IS NOT NULL AND delivered_at >= :day_ago"
"""The condition for calls that answer the same request because they were just delivered."""

_NO_NEWS = (
    "placed_at < :before AND COALESCE(sent_at, placed_at) < :before "
    "AND COALESCE(response_lost_at, placed_at) < :before "
    "AND COALESCE(ended_at, placed_at) < :before"
)
"""The condition for calls without any news since `:before`."""

_STOPPED_LISTS = "ended_at < :before AND ended_at < :waited"
"""The condition for old lists that have stopped, and wait no longer for their user."""


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
    active = tx.rows(f"SELECT tracking_id, worker FROM calls WHERE {IS_ACTIVE}")
    mine = {row["tracking_id"] for row in active if row["worker"] == worker}
    others = {row["worker"] for row in active} - {worker}
    dead = set(filter(tx.is_abandoned, others))
    first, following = _next_due(tx)
    return Work(
        is_abandoned=bool(dead or mine.difference(known)),
        is_in_progress=bool(mine.intersection(known) or others - dead),
        is_due=first <= tx.now,
        due_in=following - tx.now,
    )


def _next_due(tx: Tx) -> tuple[float, float]:
    """When the first scheduled call is due, and the first one that is not due yet; infinite without
    one.
    """
    scheduled = f"SELECT MIN(not_before) FROM calls WHERE {IS_SCHEDULED}"
    first_and_next = f"SELECT ({scheduled}) AS first, ({scheduled} AND not_before > :now) AS next"
    [due] = tx.rows(first_and_next, now=tx.now)
    first, following = (inf if time is None else time for time in (due["first"], due["next"]))
    return first, following


def find_due(
    tx: Tx,
    account: AccountKey,
    *,
    besides: Collection[str] = (),
) -> dict[str, list[CallRecord]]:
    """The first of the account's scheduled calls that are due, by tracking id, each with the calls
    before it.

    They are the earlier attempts of a call that is to be tried again, and the call before in a
    list, if they reached nobody, as far as is known. A list that asks all of its candidates goes on
    in any case. Calls that are due and have an id in `besides` are left out, and those of a list
    that this version can't read.
    """
    due: dict[str, list[CallRecord]] = {}
    waiting_last = "ORDER BY CASE WHEN earlier IS NULL THEN 0 ELSE 1 END, not_before LIMIT :most"
    listed, names = list_ids(besides)
    first_due = (
        f"{IS_SCHEDULED} AND not_before <= :now AND tracking_id NOT IN ({listed}) {waiting_last}"
    )
    for record in select(tx, account, first_due, now=tx.now, most=BATCH, **names):
        if record.plan_id is not None and list_rows.is_unreadable(tx, account, record.plan_id):
            continue
        found: list[CallRecord] = []
        for attempt in record.schedule.earlier:
            found += select(tx, account, "call_id = :id", id=attempt.call_id)
        call_list = lists.open_list_of(SqlView(tx, account), record)
        if call_list is not None and call_list.until != "all":
            found += call_list.records[-2:-1]
        due[record.tracking_id] = list(filter(may_have_reached_nobody, found))
    return due


def purge(tx: Tx, seconds: float) -> bool:
    """Delete calls without news for `seconds` (rule 7 of placing a call), and lists.

    Also delete old audit entries (`Timing.audit_days`), and expired shared values. It deletes up to
    `BATCH` calls and lists of each kind; returns whether there may be more.
    """
    before = tx.now - seconds
    is_old, names = _old_calls(tx, before)
    counts = (
        _purge_lists(tx, _STOPPED_LISTS, before=before, waited=tx.now - tx.timing.wait_for_user),
        _purge_lists(tx, _lists_without_news(is_old), before=before, **names),
        _purge_calls(tx, is_old, before=before, **names),
    )
    audit_seconds = max(tx.timing.audit_days * _DAY, _DAY)
    tx.run("DELETE FROM audit WHERE at < :before", before=tx.now - audit_seconds)
    emptied.purge(tx)
    tx.run("DELETE FROM shared_values WHERE expires_at < :now", now=tx.now)
    return BATCH in counts


def _old_calls(tx: Tx, before: float) -> tuple[str, dict[str, str]]:
    """The condition for calls that are old, and that no living worker runs; and its parameters.

    That of a worker that has died may have no other one: nobody may be signed in on its account.
    """
    of_workers = f"SELECT DISTINCT worker FROM calls WHERE {IS_ACTIVE} AND {_NO_NEWS}"
    workers = [row["worker"] for row in tx.rows(of_workers, before=before)]
    dead, names = list_ids([worker for worker in workers if tx.is_abandoned(worker)])
    return f"{_NO_NEWS} AND ({state_in(*OVER)} OR {IS_ACTIVE} AND worker IN ({dead}))", names


def _lists_without_news(is_old: str) -> str:
    """The condition for lists that go on, but whose calls are all old: nobody runs them any
    more.
    """
    has_newer = f"SELECT 1 FROM calls WHERE plan_id = call_lists.list_id AND NOT ({is_old})"
    return f"ended_at IS NULL AND asked_at < :before AND NOT EXISTS ({has_newer})"


def _purge_lists(tx: Tx, condition: str, **values: Any) -> int:
    """Delete up to `BATCH` lists that meet a condition; returns how many.

    Their calls go after it.
    """
    was_delivered = (
        f"EXISTS (SELECT 1 FROM calls WHERE plan_id = call_lists.list_id AND {_JUST_DELIVERED})"
    )
    may_go = f"{condition} AND NOT {was_delivered}"
    values |= {"day_ago": tx.now - _DAY}
    oldest = f"SELECT list_id FROM call_lists WHERE {may_go} ORDER BY ended_at LIMIT :most"
    found = tx.rows(oldest, most=BATCH, **values)
    for row in found:  # in one statement, PostgreSQL would read all lists
        tx.run(
            f"DELETE FROM call_lists WHERE list_id = :id AND {may_go}", id=row["list_id"], **values
        )
    return len(found)


def _purge_calls(tx: Tx, is_old: str, **values: Any) -> int:
    """Delete up to `BATCH` old calls, but none of a list that is kept; returns how many."""
    has_list = "EXISTS (SELECT 1 FROM call_lists WHERE list_id = calls.plan_id)"
    may_go = f"{is_old} AND NOT ({_JUST_DELIVERED}) AND NOT {has_list}"
    oldest = f"SELECT tracking_id FROM calls WHERE {may_go} ORDER BY placed_at LIMIT :most"
    deleted = tx.rows(
        f"DELETE FROM calls WHERE tracking_id IN ({oldest}) AND {may_go} RETURNING tracking_id",
        most=BATCH,
        day_ago=tx.now - _DAY,
        **values,
    )
    search_index.remove(tx, [row["tracking_id"] for row in deleted])
    return len(deleted)
