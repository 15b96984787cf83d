"""The transactions that take one record from its reservation to its end."""

from collections.abc import Callable, Collection
from dataclasses import replace

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.ledger.base import ServiceTime, Tx, moment
from kallyai_mcp.calls.ledger.reservation import insert, lock_account, numbered, readable
from kallyai_mcp.calls.ledger.scheduling import expire, plan_retry
from kallyai_mcp.calls.ledger.schema import ACTIVE
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState, Ending, error_text, from_row, to_row
from kallyai_mcp.calls.timing import Timing

_SMALL_JUMP = 1.0
"""How many seconds a clock may be set back without any notice: time servers do that."""

_SAME_ATTEMPT = "tracking_id = :id AND idempotency_key = :key"
"""A worker that was stopped for long may come with news of an attempt that another one has followed to its end."""

_OTHERS = "call_id = :call_id AND tracking_id <> :id AND api = :api AND account = :account"
"""Other records of the account that have a call of the service."""


def mark_sent(tx: Tx, record: CallRecord, *, service_time: ServiceTime, within: float) -> CallRecord:
    """See `Ledger.mark_sent`; `within` is how old the record may be, in seconds."""
    now = tx.now()
    mine = "tracking_id = :id AND worker = :worker"
    values = {"id": record.tracking_id, "worker": record.worker}
    sent = tx.rows(
        "UPDATE calls SET state = 'sent', sent_at = COALESCE(sent_at, :now), "
        "clock_offset = COALESCE(clock_offset, :offset) "
        f"WHERE {mine} AND state IN {ACTIVE} AND placed_at >= :oldest AND placed_at <= :newest "
        "AND COALESCE(not_before, :now) <= :now AND COALESCE(place_by, :now) >= :now RETURNING *",
        now=now,
        offset=_ahead(service_time, now),
        oldest=now - within,
        newest=now + _SMALL_JUMP,
        **values,
    )
    # After the update, which locks the record: a worker that takes it over now waits, and then sees it as sent.
    if sent and tx.holds_lease(record.worker):
        return from_row(sent[0])
    if not sent and tx.rows(f"SELECT 1 AS found FROM calls WHERE {mine} AND state IN {ACTIVE}", **values):
        words = f"The request did not leave within {within / 60:g} minutes or when it was due, so it was not sent."
        raise KallyAIError(words, code="too_late")
    raise KallyAIError("This process no longer holds the call's record, so it sent nothing.", code="not_sent")


def mark_not_sent(tx: Tx, record: CallRecord) -> None:
    """Note that the request of a record that says `sent` has not left, and will not: it is only reserved."""
    tx.run(
        "UPDATE calls SET state = 'reserved', sent_at = NULL, clock_offset = NULL "
        f"WHERE {_SAME_ATTEMPT} AND worker = :worker AND state = 'sent' AND response_lost_at IS NULL",
        id=record.tracking_id,
        key=record.idempotency_key,
        worker=record.worker,
    )


def mark_response_lost(
    tx: Tx, record: CallRecord, *, service_time: ServiceTime, since_sent: Callable[[], float] | None = None
) -> CallRecord:
    """Note that a response to a request for this call was lost; returns the record as it then is.

    `since_sent` gives the seconds since the request left, which the ledger's clock may tell wrongly: it may have been
    set meanwhile. None when another process sent it: then nothing tells how far the clocks differed.
    """
    rows = tx.rows(
        "UPDATE calls SET response_lost_at = COALESCE(response_lost_at, :now), "
        f"clock_offset = COALESCE(clock_offset, :offset) WHERE {_SAME_ATTEMPT} RETURNING *",
        now=tx.now(),
        offset=_offset_when_sent(record, service_time, since_sent),
        id=record.tracking_id,
        key=record.idempotency_key,
    )
    return from_row(rows[0]) if rows else record


def bind_call(
    tx: Tx,
    record: CallRecord,
    call: Call,
    *,
    proven: bool,
    service_time: ServiceTime = lambda: None,
    since_sent: Callable[[], float] | None = None,
) -> bool:
    """Note which call of the service a record is, and how it ended if it has; False when another has that call.

    If it is `proven`, the service answered the record's own request with it. A record that had only found the call in
    the service's list then gives it back, and its own outcome is unknown again. The rest is as in `mark_response_lost`.
    """
    lock_account(tx, record.account)
    if _is_later_attempt(tx, record):
        return False
    if proven:
        tx.run(
            "UPDATE calls SET state = 'unknown', call_id = NULL, outcome = NULL, calendar = NULL, reached = NULL, "
            f"error = NULL, delivered_at = NULL WHERE {_OTHERS} AND response_lost_at IS NOT NULL",
            call_id=call.call_id,
            id=record.tracking_id,
            **record.account.columns,
        )
    if _is_others(tx, record, call.call_id):
        return False
    tx.run(
        f"UPDATE calls SET call_id = :call_id, outcome = CASE WHEN state IN {ACTIVE} THEN :outcome ELSE outcome END, "
        "clock_offset = COALESCE(clock_offset, :offset) WHERE tracking_id = :id",
        call_id=call.call_id,
        offset=_offset_when_sent(record, service_time, since_sent),
        id=record.tracking_id,
        outcome=Ending(call).columns["outcome"] if call.is_final else None,
    )
    return True


def finish(tx: Tx, record: CallRecord, state: CallState, end: Ending, timing: Timing) -> None:
    """See `Ledger.finish`."""
    lock_account(tx, record.account)  # a retry gets the next generation
    rows = tx.rows("SELECT * FROM calls WHERE tracking_id = :id", id=record.tracking_id)
    if not rows:
        _write_again(tx, record, state, end)
        return
    known = next(iter(readable(rows)), None)
    if end.calendar is not None and not end.calendar.is_known and known is not None and known.calendar is not None:
        end = replace(end, calendar=known.calendar)  # else a booking that is known would be lost
    changed = tx.rows(
        "UPDATE calls SET state = :state, ended_at = CASE WHEN state = 'ended' THEN ended_at ELSE :now END, "
        "outcome = :outcome, calendar = :calendar, "
        "reached = :reached, error = :error, delivered_at = NULL "
        f"WHERE {_SAME_ATTEMPT} AND state NOT IN ('refused', 'canceled', 'scheduled', 'expired') "
        "AND (state <> 'ended' OR :tells_more = 1) "
        # A call that was only found in the list may have turned out to be that of another record.
        f"AND (response_lost_at IS NULL OR NOT EXISTS (SELECT 1 FROM calls WHERE {_OTHERS})) RETURNING *",
        state=state.value,
        now=tx.now(),
        id=record.tracking_id,
        key=record.idempotency_key,
        tells_more=int(known is not None and _tells_more(end, known)),
        call_id=end.call.call_id if end.call is not None else None,
        **record.account.columns,
        **end.columns,
    )
    # Not after one that was unknown, which an agent has been told.
    if changed and rows[0]["state"] in (CallState.RESERVED, CallState.SENT):
        plan_retry(tx, from_row(changed[0]), timing)


def _write_again(tx: Tx, record: CallRecord, state: CallState, end: Ending) -> None:
    """Write a record that is gone from the ledger, because its file was replaced, with its end."""
    call_id = end.call.call_id if end.call is not None else record.call_id
    if _is_others(tx, record, call_id):
        call_id = None  # the same call was asked for again meanwhile, and the service gave the same answer
    sent_at = None if state is CallState.REFUSED else record.sent_at or record.placed_at
    ended = replace(record, state=state, sent_at=sent_at, ended_at=moment(tx.now()), call_id=call_id, **vars(end))
    insert(tx, "calls", to_row(numbered(tx, ended, keep_key=True)))


def cancel(tx: Tx, account: AccountKey, tracking_id: str) -> bool:
    """Cancel a call whose request has not left; False when there is none, or it is too late.

    Where it is too late, the attempt that is in progress is the last one.
    """
    # Waits for the end of an attempt that is just written down: the next one is planned with it.
    lock_account(tx, account)
    changed = tx.run(
        "UPDATE calls SET state = 'canceled', ended_at = :now, delivered_at = :now "
        "WHERE tracking_id = :id AND api = :api AND account = :account AND state IN ('reserved', 'scheduled')",
        now=tx.now(),
        id=tracking_id,
        **account.columns,
    )
    if not changed:  # its request may have left, so it goes on; then it is the last attempt
        mine = "tracking_id = :id AND api = :api AND account = :account AND state = 'sent'"
        values = {"id": tracking_id, **account.columns}
        for record in readable(tx.rows(f"SELECT * FROM calls WHERE {mine}", **values)):
            tx.run(f"UPDATE calls SET attempts = :attempt WHERE {mine}", **values, attempt=record.schedule.attempt)
    return changed > 0


def release(tx: Tx, asked: CallRecord) -> None:
    """End a record whose reservation was not confirmed, if it was written: no request of it has left."""
    lock_account(tx, asked.account)  # waits for the reservation, should it still be in progress
    error = KallyAIError("The ledger did not confirm the reservation, so nothing was sent.", code="not_sent")
    tx.run(
        "UPDATE calls SET state = 'refused', ended_at = :now, error = :error "
        "WHERE tracking_id = :id AND state IN ('reserved', 'scheduled')",
        now=tx.now(),
        id=asked.tracking_id,
        error=error_text(error),
    )


def mark_delivered(tx: Tx, records: Collection[CallRecord], *, delivered: bool) -> None:
    """Note that a client was told how these calls ended, or that it was not told after all.

    A record that has another state by now than it was told is not changed.
    """
    if any(record.state is CallState.EXPIRED for record in records):
        expire(tx)  # it may have been told before a worker noted it
    for record in records:
        if not record.is_open:
            tx.run(
                "UPDATE calls SET delivered_at = :at WHERE tracking_id = :id AND state = :state",
                at=tx.now() if delivered else None,
                id=record.tracking_id,
                state=record.state.value,
            )


def _tells_more(end: Ending, known: CallRecord) -> bool:
    """Whether `end` tells more of how `known` ended than the ledger has."""
    call = end.call
    if call is None or known.call is None or not known.may_change:
        return False
    if known.call.plain_status not in Call.FINAL:
        return True
    if end.reached and not known.reached:
        return call.plain_status in Call.FINAL
    if call.plain_status != known.call.plain_status or (call.highlights is None and known.call.highlights is not None):
        return False
    has_new_calendar = known.is_calendar_unread and end.calendar is not None and end.calendar.is_known
    return has_new_calendar or (known.call.highlights is None and call.highlights is not None)


def _is_others(tx: Tx, record: CallRecord, call_id: str | None) -> bool:
    """Whether another record of the account has this call of the service."""
    values = {"call_id": call_id, "id": record.tracking_id, **record.account.columns}
    return bool(tx.rows(f"SELECT 1 AS found FROM calls WHERE {_OTHERS}", **values))


def _is_later_attempt(tx: Tx, record: CallRecord) -> bool:
    """Whether the record has gone on to another attempt than this one."""
    rows = tx.rows("SELECT idempotency_key FROM calls WHERE tracking_id = :id", id=record.tracking_id)
    return any(row["idempotency_key"] != record.idempotency_key for row in rows)


def _offset_when_sent(
    record: CallRecord, service_time: ServiceTime, since_sent: Callable[[], float] | None
) -> float | None:
    """How far the service's clock was ahead of the ledger's when the request left; None when it is not known.

    What is known now says nothing of then when another process sent it: the clock may have been set since.
    """
    if since_sent is None or record.sent_at is None:
        return None
    return _ahead(service_time, record.sent_at.timestamp() + since_sent())


def _ahead(service_time: ServiceTime, now: float) -> float | None:
    """How far the service's clock is ahead of the ledger's, in seconds; None when it is not known."""
    known = service_time()
    return known.timestamp() - now if known is not None else None
