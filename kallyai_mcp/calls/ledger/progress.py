"""The transactions of one record from its reservation to its end."""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.ledger.base import Row, ServiceTime, Tx
from kallyai_mcp.calls.ledger.follow_up import follow_up, stop_next_after
from kallyai_mcp.calls.ledger.reservation import offset_at
from kallyai_mcp.calls.ledger.rows import ACTIVE, MINE, NOT_PLACED, change, end, expire, find, readable, select
from kallyai_mcp.calls.outcome import Findings, reached_somebody
from kallyai_mcp.calls.records import ACTIVE as ACTIVE_STATES
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState, end_columns, from_row
from kallyai_mcp.clock import moment

_SMALL_JUMP = 1.0
"""How many seconds a clock may be set back and count as unchanged, as time servers do."""

_SAME_ATTEMPT = "tracking_id = :id AND idempotency_key = :key"
"""The condition for a record in the same attempt. A worker that was suspended may write about an earlier attempt."""


def mark_sent(tx: Tx, record: CallRecord, *, service_time: ServiceTime) -> CallRecord:
    """Note that a request is about to leave; returns the record as it is now.

    Raises:
        KallyAIError: It must not leave: the record is too old (code `too_late`), or it has ended, is gone, or
            belongs to another worker, or this worker lost its lease (code `not_sent`).
    """
    now, within = tx.now(), tx.timing.send_within
    mine = f"tracking_id = :id AND worker = :worker AND {ACTIVE}"
    values = {"id": record.tracking_id, "worker": record.worker}
    sent = tx.rows(
        "UPDATE calls SET state = 'sent', sent_at = COALESCE(sent_at, :now), "
        # Before its own request, a record may have the offset at an earlier request with its key.
        "clock_offset = CASE WHEN sent_at IS NULL THEN :offset ELSE COALESCE(clock_offset, :offset) END "
        f"WHERE {mine} AND placed_at >= :oldest AND placed_at <= :newest "
        "AND COALESCE(not_before, :now) <= :now AND COALESCE(place_by, :now) >= :now RETURNING *",
        now=now,
        offset=offset_at(service_time, now),
        oldest=now - within,
        newest=now + _SMALL_JUMP,
        **values,
    )
    # Checked after the update, which locks the record: a worker that takes it over now waits, and then sees it as sent.
    if sent and tx.holds_lease(record.worker):
        return from_row(sent[0])
    if not sent and tx.rows(f"SELECT 1 AS found FROM calls WHERE {mine}", **values):
        words = f"The request did not leave within {within / 60:g} minutes or when it was due, so it was not sent."
        raise KallyAIError(words, code="too_late")
    raise KallyAIError("This process no longer holds the call's record, so it sent nothing.", code="not_sent")


def mark_not_sent(tx: Tx, record: CallRecord) -> None:
    """Set a `sent` record back to `reserved`, because no request has left or is leaving."""
    sent = f"{_SAME_ATTEMPT} AND worker = :worker AND state = 'sent' AND response_lost_at IS NULL"
    columns = {"state": "reserved", "sent_at": None, "clock_offset": None}
    change(tx, record.tracking_id, sent, columns, key=record.idempotency_key, worker=record.worker)


def mark_response_lost(
    tx: Tx, record: CallRecord, *, service_time: ServiceTime, since_sent: Callable[[], float] | None = None
) -> CallRecord:
    """Note that the response to a request for a call was lost; returns the record as it is now, in the ledger or not.

    `since_sent` returns the seconds since the request left, whatever the wall clock says. It is None when another
    process sent the request: then it is not known how far the clocks differed.
    """
    offset = None
    if since_sent is not None and record.sent_at is not None:
        offset = offset_at(service_time, record.sent_at.timestamp() + since_sent())
    rows = tx.rows(
        "UPDATE calls SET response_lost_at = COALESCE(response_lost_at, :now), "
        f"clock_offset = COALESCE(clock_offset, :offset) WHERE {_SAME_ATTEMPT} RETURNING *",
        now=tx.now(),
        offset=offset,
        id=record.tracking_id,
        key=record.idempotency_key,
    )
    known = offset if record.clock_offset is None else record.clock_offset
    return from_row(rows[0]) if rows else replace(record, response_lost_at=moment(tx.now()), clock_offset=known)


def bind_call(
    tx: Tx,
    record: CallRecord,
    call: Call,
    *,
    proven: bool,
    service_time: ServiceTime = lambda: None,
    findings: Findings | None = None,
) -> CallRecord | None:
    """Bind a call of the service to its record, and write its outcome if it has ended.

    With `findings`, the record ends with them, as by `finish`.

    It is `proven` if the service answered the record's own request with the call. Then a record that had only found the
    call in the service's list loses it, and its outcome is unknown again.

    Returns None when the call is bound to another record, or `record` has gone on to another attempt.
    """
    own, other = _rows(tx, record, call.call_id)
    if own is not None and own["idempotency_key"] != record.idempotency_key:
        return None
    if other is not None:
        if not proven or other["response_lost_at"] is None:
            return None
        lost = ("call_id", "outcome", "calendar", "reached", "error", "delivered_at")
        change(tx, other["tracking_id"], "TRUE", {"state": "unknown", **dict.fromkeys(lost)})
    offset = offset_at(service_time, tx.now())
    if findings is not None:
        ended = replace(record, state=CallState.ENDED, call_id=call.call_id, call=call)
        return _end(tx, own, replace(ended, calendar=findings.calendar, reached=findings.reached), offset)
    tx.run(
        f"UPDATE calls SET call_id = :call_id, outcome = CASE WHEN {ACTIVE} THEN :outcome ELSE outcome END, "
        "clock_offset = COALESCE(clock_offset, :offset) WHERE tracking_id = :id",
        call_id=call.call_id,
        offset=offset,
        id=record.tracking_id,
        outcome=call.model_dump_json() if call.is_final else None,
    )
    return record


def finish(
    tx: Tx,
    record: CallRecord,
    state: CallState,
    *,
    call: Call | None = None,
    findings: Findings | None = None,
    error: KallyAIError | None = None,
) -> CallRecord:
    """Write down how a call ended (`ENDED`, `REFUSED`, or `UNKNOWN`), and plan what comes after it.

    An outcome is not changed later, unless KallyAI says more about it (`CallRecord.may_change`). A record that is no
    longer in the ledger, because its file was deleted, is only returned. Without `findings`, the call alone shows
    whether it reached somebody.

    Returns the record as it is then: the next attempt, if the call is tried again.
    """
    call_id = call.call_id if call is not None else record.call_id
    own, other = _rows(tx, record, call_id)
    if other is not None:  # the record had found the call in the list, and the other one has it since
        return find(tx, record.account, record.tracking_id) or record
    if findings is None and call is not None:
        findings = Findings(None, reached_somebody(call))
    calendar, reached = findings if findings is not None else (None, None)
    ended = replace(record, state=state, call_id=call_id, call=call, calendar=calendar, reached=reached, error=error)
    return _end(tx, own, ended)


def _end(tx: Tx, own: Row | None, ended: CallRecord, offset: float | None = None) -> CallRecord:
    """Write the end of a record, with its call and the `offset` of the clocks, into its row `own`, if there is one."""
    if own is None:
        return replace(ended, ended_at=moment(tx.now()))
    known = next(iter(readable(tx, [own])), None)
    if ended.is_calendar_unread and known is not None and known.calendar is not None:
        ended = replace(ended, calendar=known.calendar)  # a booking that is known must not be lost
    changed = tx.rows(
        "UPDATE calls SET state = :state, ended_at = CASE WHEN state = 'ended' THEN ended_at ELSE :now END, "
        "outcome = :outcome, calendar = :calendar, reached = :reached, error = :error, delivered_at = NULL, "
        "call_id = COALESCE(:call_id, call_id), clock_offset = COALESCE(clock_offset, :offset) "
        f"WHERE {_SAME_ATTEMPT} AND state NOT IN {NOT_PLACED} "
        # A worker that has lost a call to another one sent nothing, but the other one may have.
        "AND (:state <> 'refused' OR worker = :worker) AND (state <> 'ended' OR :tells_more = 1) RETURNING *",
        state=ended.state.value,
        now=tx.now(),
        call_id=ended.call_id,
        offset=offset,
        worker=ended.worker,
        tells_more=int(known is not None and _tells_more(ended, known)),
        id=ended.tracking_id,
        key=ended.idempotency_key,
        **end_columns(ended),
    )
    if not changed:
        return find(tx, ended.account, ended.tracking_id) or ended
    record = from_row(changed[0])
    # Nothing follows an unknown outcome that is found out, because a client may have been told that nothing does.
    if own["state"] in ACTIVE_STATES:
        return follow_up(tx, record)
    if record.reached:
        stop_next_after(tx, record)
    return record


def cancel(tx: Tx, account: AccountKey, tracking_id: str) -> bool:
    """Cancel a call whose request has not left. If it has left, the attempt in progress is the last one.

    Returns False when the request has left, or there is no such call.
    """
    not_sent = f"{MINE} AND state IN ('reserved', 'scheduled')"
    if (canceled := end(tx, tracking_id, not_sent, CallState.CANCELED, **account.columns)) is not None:
        follow_up(tx, canceled)  # a list ends with it
        return True
    for record in select(tx, account, "tracking_id = :id AND state = 'sent'", id=tracking_id):
        change(tx, tracking_id, "state = 'sent'", {"attempts": record.schedule.attempt})
    return False


def release(tx: Tx, account: AccountKey, tracking_id: str) -> None:
    """End a record whose reservation was not confirmed, if it was written. Its request has not left."""
    error = KallyAIError("The ledger did not confirm the reservation, so nothing was sent.", code="not_sent")
    not_sent = f"{MINE} AND state IN ('reserved', 'sent', 'scheduled')"
    if (released := end(tx, tracking_id, not_sent, CallState.REFUSED, error, **account.columns)) is not None:
        follow_up(tx, released)  # a list stops


def mark_delivered(tx: Tx, records: Collection[CallRecord], *, delivered: bool) -> None:
    """Note that the outcomes of these calls were delivered, or that they were not `delivered` after all.

    A record is not changed if its state in the ledger differs from the one that was delivered.
    """
    for record in records:
        if record.state is CallState.EXPIRED:
            expire(tx, record.tracking_id)
        if not record.is_open:
            delivery = "UPDATE calls SET delivered_at = :at WHERE tracking_id = :id AND state = :state"
            tx.run(delivery, at=tx.now() if delivered else None, id=record.tracking_id, state=record.state.value)


class Competitors(NamedTuple):
    """The records whose call is not known, the `call_id`s of the others, and the time by the ledger's clock."""

    unbound: list[CallRecord]
    call_ids: set[str]
    now: datetime


def competitors(tx: Tx, record: CallRecord) -> Competitors:
    """The other records of an account with the number of `record`, which the service's call of it may belong to."""
    same_number = "number = :number AND tracking_id <> :id AND call_id"
    values = {"number": record.submission.respondent_phone, "id": record.tracking_id}
    may_be_placed = f"sent_at IS NOT NULL AND state NOT IN {NOT_PLACED}"
    unbound = select(tx, record.account, f"{same_number} IS NULL AND {may_be_placed}", **values)
    bound = f"SELECT call_id FROM calls WHERE {MINE} AND {same_number} IS NOT NULL"
    call_ids = {row["call_id"] for row in tx.rows(bound, **values, **record.account.columns)}
    return Competitors(unbound, call_ids, moment(tx.now()))


def _tells_more(ended: CallRecord, known: CallRecord) -> bool:
    """Whether `ended` says more about how a call ended than its record `known` in the ledger."""
    call = ended.call
    if call is None or known.call is None or not known.may_change:
        return False
    if known.call.plain_status not in Call.FINAL:
        return True
    if ended.reached and not known.reached:
        return call.plain_status in Call.FINAL
    if known.reached is None and ended.reached is not None:
        return True
    if call.plain_status != known.call.plain_status or (call.highlights is None and known.call.highlights is not None):
        return False
    has_new_calendar = known.is_calendar_unread and ended.calendar is not None and ended.calendar.is_known
    return has_new_calendar or (known.call.highlights is None and call.highlights is not None)


def _rows(tx: Tx, record: CallRecord, call_id: str | None) -> tuple[Row | None, Row | None]:
    """The row of a record, and that of another record of the account that the service's call is bound to."""
    both = (
        "SELECT * FROM calls WHERE tracking_id = :id "
        f"UNION ALL SELECT * FROM calls WHERE {MINE} AND call_id = :call_id AND tracking_id <> :id"
    )
    found = {
        row["tracking_id"] == record.tracking_id: row
        for row in tx.rows(both, id=record.tracking_id, call_id=call_id, **record.account.columns)
    }
    return found.get(True), found.get(False)
