"""The transactions of one record from its reservation to its end."""

from collections.abc import Callable, Collection
from dataclasses import replace

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.ledger.base import ServiceTime, Tx, moment
from kallyai_mcp.calls.ledger.follow_up import follow_up, stop_following
from kallyai_mcp.calls.ledger.maintenance import expire_shown
from kallyai_mcp.calls.ledger.reservation import insert, lock_account, numbered, readable
from kallyai_mcp.calls.ledger.schema import ACTIVE
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState, Ending, error_text, from_row, to_row
from kallyai_mcp.calls.timing import Timing

_SMALL_JUMP = 1.0
"""How many seconds a clock may be set back and count as unchanged, as time servers do."""

_SAME_ATTEMPT = "tracking_id = :id AND idempotency_key = :key"
"""The condition for a record in the same attempt. A worker that was suspended may write about an earlier attempt."""

_OTHERS = "call_id = :call_id AND tracking_id <> :id AND api = :api AND account = :account"
"""The condition for other records of the account that the service's call is bound to."""


def mark_sent(tx: Tx, record: CallRecord, *, service_time: ServiceTime, within: float) -> CallRecord:
    """See `Ledger.mark_sent`; `within` is how old the record may be, in seconds."""
    now = tx.now()
    mine = "tracking_id = :id AND worker = :worker"
    values = {"id": record.tracking_id, "worker": record.worker}
    sent = tx.rows(
        "UPDATE calls SET state = 'sent', sent_at = COALESCE(sent_at, :now), "
        # Before its own request, a record may have the offset at an earlier request with its key.
        "clock_offset = CASE WHEN sent_at IS NULL THEN :offset ELSE COALESCE(clock_offset, :offset) END "
        f"WHERE {mine} AND state IN {ACTIVE} AND placed_at >= :oldest AND placed_at <= :newest "
        "AND COALESCE(not_before, :now) <= :now AND COALESCE(place_by, :now) >= :now RETURNING *",
        now=now,
        offset=_ahead(service_time, now),
        oldest=now - within,
        newest=now + _SMALL_JUMP,
        **values,
    )
    # Checked after the update, which locks the record: a worker that takes it over now waits, and then sees it as sent.
    if sent and tx.holds_lease(record.worker):
        return from_row(sent[0])
    if not sent and tx.rows(f"SELECT 1 AS found FROM calls WHERE {mine} AND state IN {ACTIVE}", **values):
        words = f"The request did not leave within {within / 60:g} minutes or when it was due, so it was not sent."
        raise KallyAIError(words, code="too_late")
    raise KallyAIError("This process no longer holds the call's record, so it sent nothing.", code="not_sent")


def mark_not_sent(tx: Tx, record: CallRecord) -> None:
    """Set a `sent` record back to `reserved`, because its request has not left and will not."""
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
    """Note that the response to a request for a call was lost.

    Args:
        tx: The transaction.
        record: The record.
        service_time: Returns the time by the service's clock.
        since_sent: Returns the seconds since the request left, whatever the wall clock says. None when another process
            sent the request: then it is not known how far the clocks differed.

    Returns:
        The record as it is now.
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
    """Bind a call of the service to its record, and write its outcome if it has ended.

    Args:
        tx: The transaction.
        record: The record.
        call: The call.
        proven: Whether the service answered the record's own request with the call. Then a record that had only found
            the call in the service's list loses it, and its outcome is unknown again.
        service_time: As in `mark_response_lost`.
        since_sent: As in `mark_response_lost`.

    Returns:
        False when the call is bound to another record, or `record` has gone on to another attempt.
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


def finish(tx: Tx, record: CallRecord, state: CallState, end: Ending, policy: CallPolicy, timing: Timing) -> None:
    """Write down how a call ended, and plan what comes after it; see `Ledger.finish`."""
    lock_account(tx, record.account)  # because the next call needs the next generation
    rows = tx.rows("SELECT * FROM calls WHERE tracking_id = :id", id=record.tracking_id)
    if not rows:
        _write_again(tx, record, state, end)
        return
    known = next(iter(readable(rows)), None)
    if end.calendar is not None and not end.calendar.is_known and known is not None and known.calendar is not None:
        end = replace(end, calendar=known.calendar)  # a booking that is known must not be lost
    changed = tx.rows(
        "UPDATE calls SET state = :state, ended_at = CASE WHEN state = 'ended' THEN ended_at ELSE :now END, "
        "outcome = :outcome, calendar = :calendar, "
        "reached = :reached, error = :error, delivered_at = NULL "
        f"WHERE {_SAME_ATTEMPT} AND state NOT IN ('refused', 'canceled', 'scheduled', 'expired') "
        "AND (state <> 'ended' OR :tells_more = 1) "
        # The call may have been found in the list, and bound to another record since.
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
    # Nothing follows an unknown outcome that is found out, because a client may have been told that nothing does.
    if changed and rows[0]["state"] in (CallState.RESERVED, CallState.SENT):
        follow_up(tx, from_row(changed[0]), policy, timing)
    elif changed and end.reached:
        stop_following(tx, from_row(changed[0]))


def _write_again(tx: Tx, record: CallRecord, state: CallState, end: Ending) -> None:
    """Write a record with its end that is no longer in the ledger, because the file was replaced."""
    call_id = end.call.call_id if end.call is not None else record.call_id
    if _is_others(tx, record, call_id):
        call_id = None  # the same call was requested again, and the service answered with the same call
    sent_at = None if state is CallState.REFUSED else record.sent_at or record.placed_at
    ended = replace(record, state=state, sent_at=sent_at, ended_at=moment(tx.now()), call_id=call_id, **vars(end))
    insert(tx, "calls", to_row(numbered(tx, ended, keep_key=True)))


def cancel(tx: Tx, account: AccountKey, tracking_id: str, policy: CallPolicy, timing: Timing) -> bool:
    """Cancel a call whose request has not left. If it has left, the attempt in progress is the last one.

    Returns:
        False when the request has left, or there is no such call.
    """
    # Waits for a `finish` in progress, which may schedule the next attempt.
    lock_account(tx, account)
    changed = tx.rows(
        "UPDATE calls SET state = 'canceled', ended_at = :now, delivered_at = :now "
        "WHERE tracking_id = :id AND api = :api AND account = :account AND state IN ('reserved', 'scheduled') "
        "RETURNING *",
        now=tx.now(),
        id=tracking_id,
        **account.columns,
    )
    if changed:
        follow_up(tx, from_row(changed[0]), policy, timing)  # a list ends with it
    else:  # its request may have left
        mine = "tracking_id = :id AND api = :api AND account = :account AND state = 'sent'"
        values = {"id": tracking_id, **account.columns}
        for record in readable(tx.rows(f"SELECT * FROM calls WHERE {mine}", **values)):
            tx.run(f"UPDATE calls SET attempts = :attempt WHERE {mine}", **values, attempt=record.schedule.attempt)
    return bool(changed)


def release(tx: Tx, account: AccountKey, tracking_id: str) -> None:
    """End a record whose reservation was not confirmed, if it was written. Its request has not left."""
    lock_account(tx, account)  # waits for the end of the reservation, if it is still in progress
    error = KallyAIError("The ledger did not confirm the reservation, so nothing was sent.", code="not_sent")
    tx.run(
        "UPDATE calls SET state = 'refused', ended_at = :now, error = :error "
        "WHERE tracking_id = :id AND state IN ('reserved', 'scheduled')",
        now=tx.now(),
        id=tracking_id,
        error=error_text(error),
    )


def mark_delivered(tx: Tx, records: Collection[CallRecord], *, delivered: bool) -> None:
    """Note that the outcomes of these calls were delivered, or that they were not `delivered` after all.

    A record is not changed if its state in the ledger differs from the one that was delivered.
    """
    for record in records:
        if record.state is CallState.EXPIRED:
            expire_shown(tx, record)
        if not record.is_open:
            tx.run(
                "UPDATE calls SET delivered_at = :at WHERE tracking_id = :id AND state = :state",
                at=tx.now() if delivered else None,
                id=record.tracking_id,
                state=record.state.value,
            )


def _tells_more(end: Ending, known: CallRecord) -> bool:
    """Whether `end` says more about how a call ended than its record `known` in the ledger."""
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
    """Whether the service's call is bound to another record of the account."""
    values = {"call_id": call_id, "id": record.tracking_id, **record.account.columns}
    return bool(tx.rows(f"SELECT 1 AS found FROM calls WHERE {_OTHERS}", **values))


def _is_later_attempt(tx: Tx, record: CallRecord) -> bool:
    """Whether the record in the ledger has gone on to another attempt."""
    rows = tx.rows("SELECT idempotency_key FROM calls WHERE tracking_id = :id", id=record.tracking_id)
    return any(row["idempotency_key"] != record.idempotency_key for row in rows)


def _offset_when_sent(
    record: CallRecord, service_time: ServiceTime, since_sent: Callable[[], float] | None
) -> float | None:
    """How many seconds the service's clock was ahead of the ledger's when the request left; None when unknown.

    It is unknown if another process sent the request: the ledger's clock may have been set since then.
    """
    if since_sent is None or record.sent_at is None:
        return None
    return _ahead(service_time, record.sent_at.timestamp() + since_sent())


def _ahead(service_time: ServiceTime, now: float) -> float | None:
    """How far the service's clock is ahead of the ledger's, in seconds; None when it is not known."""
    known = service_time()
    return known.timestamp() - now if known is not None else None
