"""The transactions of scheduled calls: take a call that is due, put it back, let it expire, plan the next attempt."""

from dataclasses import replace
from typing import Any

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.ledger.base import BATCH, ServiceTime, Tx, moment
from kallyai_mcp.calls.ledger.reservation import (
    check_policy,
    copy_audit,
    insert,
    lock_account,
    numbered,
    readable,
    write_audit,
)
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState, error_text, from_row, new_tracking_id, to_row
from kallyai_mcp.calls.schedule import STALE, TRIED_AGAIN, Attempt, Schedule, is_past_appointment, next_attempt
from kallyai_mcp.calls.timing import Timing

_DUE = "state = 'scheduled' AND not_before <= :now"
_LATE = "state = 'scheduled' AND place_by < :now"

_CLOCKS_AGREE = 120.0
"""How many seconds the ledger's clock and the service's may differ."""

_CLOCK_WRONG = KallyAIError(
    "The clock of this machine differed from KallyAI's when the call was due.", code="clock_wrong_when_due"
)
_OTHER_ACCOUNT = KallyAIError("Another account was signed in when the call was due.", code="other_account_when_due")


def expired_error() -> KallyAIError:
    """The error of an expired call for which no other reason was noted."""
    return KallyAIError("No program that could place the call ran when it was due.", code="expired")


def as_it_is(tx: Tx, record: CallRecord) -> CallRecord:
    """`record`, but expired if it is too late to be placed, even if no worker has written that yet."""
    place_by = record.schedule.place_by
    if record.state is not CallState.SCHEDULED or place_by is None or place_by.timestamp() >= tx.now():
        return record
    return replace(record, state=CallState.EXPIRED, ended_at=place_by, error=record.error or expired_error())


def has_due(tx: Tx) -> bool:
    """Whether a scheduled call of any account is due."""
    return bool(tx.rows(f"SELECT 1 AS found FROM calls WHERE {_DUE} LIMIT 1", now=tx.now()))


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


def note_hindrance(tx: Tx, account: AccountKey | None, error: KallyAIError) -> int:
    """Note why calls that are due can't be placed now, of up to `BATCH`. They may still be placed until they expire.

    Args:
        tx: The transaction.
        account: The account whose calls are not concerned; None when all calls are.
        error: The reason.

    Returns:
        Of how many calls.
    """
    others = "AND NOT (api = :api AND account = :account)" if account is not None else ""
    hindered = (
        f"SELECT tracking_id FROM calls WHERE {_DUE} AND error IS NULL {others} "
        f"ORDER BY not_before LIMIT :most {tx.SKIP_LOCKED}"
    )
    noted = tx.rows(
        f"WITH hindered AS ({hindered}) UPDATE calls SET error = :error "
        "WHERE tracking_id IN (SELECT tracking_id FROM hindered) RETURNING tracking_id",
        now=tx.now(),
        error=error_text(error),
        most=BATCH,
        **(account.columns if account is not None else {}),
    )
    return len(noted)


def take_due(
    tx: Tx, account: AccountKey, worker: str, policy: CallPolicy, most: int, service_time: ServiceTime
) -> list[CallRecord]:
    """See `Ledger.take_due`.

    A call must be due by the service's clock too, so that a machine whose clock is wrong by hours does not call at
    night.
    """
    lock_account(tx, account)
    note_hindrance(tx, account, _OTHER_ACCOUNT)
    now, known = tx.now(), service_time()
    there = known.timestamp() if known is not None else now
    if abs(there - now) <= _CLOCKS_AGREE:
        there = now  # a small difference does not let a call wait
    else:
        note_hindrance(tx, None, _CLOCK_WRONG)
    due = tx.rows(
        f"SELECT * FROM calls WHERE {_DUE} AND not_before <= :there AND place_by >= :there "
        "AND api = :api AND account = :account ORDER BY not_before LIMIT :most",
        now=now,
        there=there,
        most=most,
        **account.columns,
    )
    return [taken for record in readable(due) if (taken := _take(tx, record, worker, policy)) is not None]


def _take(tx: Tx, record: CallRecord, worker: str, policy: CallPolicy) -> CallRecord | None:
    scheduled = "WHERE tracking_id = :id AND state = 'scheduled'"
    if (refusal := check_policy(tx, record, policy)) is not None:
        tx.run(
            f"UPDATE calls SET state = 'refused', ended_at = :now, error = :error {scheduled}",
            id=record.tracking_id,
            now=tx.now(),
            error=error_text(refusal),
        )
        write_audit(tx, record, None, f"refused:{refusal.setting}")
        return replace(record, state=CallState.REFUSED, error=refusal)
    new = numbered(tx, record)
    rows = tx.rows(
        "UPDATE calls SET state = 'reserved', worker = :worker, placed_at = :now, day = :day, "
        f"generation = :generation, idempotency_key = :key, error = NULL {scheduled} RETURNING *",
        id=record.tracking_id,
        worker=worker,
        now=new.placed_at.timestamp(),
        day=new.day,
        generation=new.generation,
        key=new.idempotency_key,
    )
    if not rows:
        return None
    copy_audit(tx, record)
    return from_row(rows[0])


def put_back(tx: Tx, record: CallRecord) -> None:
    """Schedule a reserved call again whose worker died before the request left: it is placed, or it expires."""
    tx.run(
        "UPDATE calls SET state = 'scheduled' WHERE tracking_id = :id AND worker = :worker AND state = 'reserved'",
        id=record.tracking_id,
        worker=record.worker,
    )


def plan_retry(tx: Tx, record: CallRecord, timing: Timing) -> None:
    """Schedule the next attempt of a call that this transaction has ended, if there is to be one.

    The record is scheduled again under a new key. The ended attempt is kept as a record with another tracking id, so
    that limits count it, and the service's call stays bound.
    """
    now, schedule = moment(tx.now()), record.schedule
    if schedule.attempt >= schedule.attempts or record.call is None or record.call_id is None:
        return
    if record.call.plain_status not in TRIED_AGAIN or record.reached or now - record.placed_at > STALE:
        return
    due = next_attempt(now, record.submission.respondent_phone, record.timezone)
    if is_past_appointment(record.submission, due, record.timezone):
        return
    attempt = Attempt(record.placed_at, record.call.plain_status, record.call_id)
    place_by = moment(due.timestamp() + timing.place_within)
    following = Schedule(due, place_by, schedule.attempts, (*schedule.earlier, attempt))
    # Without the tracking id, so that the generation of the record itself, which the copy below keeps, counts as used.
    again = numbered(tx, replace(record, tracking_id=""))
    tx.run(
        "UPDATE calls SET state = 'scheduled', placed_at = :now, day = :day, generation = :generation, "
        "idempotency_key = :key, sent_at = NULL, clock_offset = NULL, response_lost_at = NULL, ended_at = NULL, "
        "delivered_at = NULL, call_id = NULL, outcome = NULL, calendar = NULL, reached = NULL, error = NULL, "
        "not_before = :not_before, place_by = :place_by, attempts = :attempts, earlier = :earlier "
        "WHERE tracking_id = :id",
        id=record.tracking_id,
        now=again.placed_at.timestamp(),
        day=again.day,
        generation=again.generation,
        key=again.idempotency_key,
        **following.columns,
    )
    kept = replace(record, tracking_id=new_tracking_id(), delivered_at=now, schedule=replace(schedule, attempts=1))
    noted = {"noted_at": to_row(kept)["ended_at"]}  # no event: for clients the call has not ended
    insert(tx, "calls", to_row(kept) | noted)
