"""The transactions of scheduled calls: take a call that is due, put it back, let it expire, plan the next attempt."""

from dataclasses import replace

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.ledger.base import ServiceTime, Tx, moment
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
    """End the scheduled calls of all accounts that are too late to be placed; returns how many."""
    return tx.run(
        "UPDATE calls SET state = 'expired', ended_at = :now, error = COALESCE(error, :error) "
        "WHERE state = 'scheduled' AND place_by < :now",
        now=tx.now(),
        error=error_text(expired_error()),
    )


def note_hindrance(tx: Tx, account: AccountKey | None, error: KallyAIError) -> None:
    """Note why calls that are due can't be placed now. They may still be placed until they expire.

    Args:
        tx: The transaction.
        account: The account whose calls are not concerned; None when all calls are.
        error: The reason.
    """
    others = "AND NOT (api = :api AND account = :account)" if account is not None else ""
    tx.run(
        f"UPDATE calls SET error = :error WHERE {_DUE} AND error IS NULL {others}",
        now=tx.now(),
        error=error_text(error),
        **(account.columns if account is not None else {}),
    )
    expire(tx)


def take_due(
    tx: Tx, account: AccountKey, worker: str, policy: CallPolicy, service_time: ServiceTime
) -> list[CallRecord]:
    """Reserve the account's calls that are due for `worker`; returns them.

    A call that a setting refuses now ends with that error. A call must be due by the service's clock too, so that a
    machine whose clock is wrong by hours does not call at night.
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
        "AND api = :api AND account = :account ORDER BY not_before",
        now=now,
        there=there,
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
        return None
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
