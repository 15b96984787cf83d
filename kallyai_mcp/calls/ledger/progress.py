"""The transactions of one record from its reservation to its end.

Each that writes has locked the record's account (`Ledger.write`), so it may read and decide first.
Without that run `mark_delivered`, and `upkeep.purge` (of old records that no living worker runs):
so `delivered_at` is written only with the end of a call, and a record may be gone. An older version
expires scheduled records without it: so where a record may be scheduled, a change of its state
names it in the condition.
"""

from collections.abc import Callable, Collection
from dataclasses import replace

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.ledger.base import Row, ServiceTime, Tx
from kallyai_mcp.calls.ledger.conditions import IS_ACTIVE, MINE, state_in, state_not_in
from kallyai_mcp.calls.ledger.follow_up import follow_up, stop_next_after
from kallyai_mcp.calls.ledger.record_rows import end_columns
from kallyai_mcp.calls.ledger.reservation import offset_at
from kallyai_mcp.calls.ledger.rows import (
    change,
    end,
    find,
    readable,
    select,
)
from kallyai_mcp.calls.ledger.stored_errors import error_to_json
from kallyai_mcp.calls.records import (
    ACTIVE,
    NOT_PLACED,
    OPEN,
    WAITING,
    AccountKey,
    CallRecord,
    CallState,
)
from kallyai_mcp.calls.schedule import put_off
from kallyai_mcp.clock import moment

_SMALL_JUMP = 1.0
"""How many seconds a clock may be set back and count as unchanged, as time servers do."""


def mark_sent(tx: Tx, record: CallRecord, *, service_time: ServiceTime) -> CallRecord:
    """Note that a request is about to leave; returns the record as it is now.

    Raises:
        KallyAIError: It must not leave: the record is too old (code `too_late`), or it has ended,
            is gone, or belongs to another worker, or this worker lost its lease (code `not_sent`).
    """
    now, within = moment(tx.now), tx.timing.send_within
    columns: Row = {"state": "sent", "error": None}
    if record.sent_at is None:
        columns["sent_at"] = tx.now
    # Without `sent_at`, it is an earlier request's.
    if record.sent_at is None or record.clock_offset is None:
        columns["clock_offset"] = offset_at(service_time, tx.now)
    sent = _change(tx, record, columns, f"worker = :worker AND {IS_ACTIVE}")
    if sent is None or not tx.holds_lease(record.worker):
        raise KallyAIError(
            "This process no longer holds the call's record, so it sent nothing.", code="not_sent"
        )
    is_young = -_SMALL_JUMP <= (now - sent.asked_at).total_seconds() <= within
    is_due = (sent.schedule.not_before or now) <= now <= (sent.schedule.place_by or now)
    if not (is_young and is_due):  # the error undoes the change
        words = (
            f"The request did not leave within {within / 60:g} minutes or when it was due, so "
            "it was not sent."
        )
        raise KallyAIError(words, code="too_late")
    return sent


def mark_delayed(tx: Tx, record: CallRecord, error: KallyAIError) -> CallRecord:
    """Note why the request of a call has not left, or must leave once more; returns the record as
    it is now.
    """
    return (
        _change(tx, record, {"error": error_to_json(error)}, f"worker = :worker AND {IS_ACTIVE}")
        or record
    )


def refuse(tx: Tx, record: CallRecord, error: KallyAIError) -> CallRecord:
    """Write down that a call was not placed because of `error`; a due one may wait (`put_off`).

    One that waits after 429 keeps its key, `sent_at`, and `response_lost_at`: before its next
    request, KallyAI's list is looked through. A list does not wait for its own calls; it stops.

    Returns the record as it is then.
    """
    refused = replace(record, state=CallState.REFUSED, call=None, error=error)
    own = find(tx, record.account, record.tracking_id)
    if own is None or own.is_of_list:
        return finish(tx, refused)
    waiting = put_off(own.schedule, error, moment(tx.now))
    if waiting is None:
        return finish(tx, refused)
    columns: Row = {
        "state": "scheduled",
        "error": None,
        "not_before": waiting.columns["not_before"],
    }
    if own.response_lost_at is None:
        columns |= {"sent_at": None, "clock_offset": None}
    return _change(tx, record, columns, f"worker = :worker AND {IS_ACTIVE}") or own


def mark_response_lost(
    tx: Tx,
    record: CallRecord,
    *,
    service_time: ServiceTime,
    since_sent: Callable[[], float] | None = None,
) -> CallRecord:
    """Note that the response to a request for a call was lost; returns the record as it is now, in
    the ledger or not.

    `since_sent` returns the seconds since the request left, whatever the wall clock says. It is
    None when another process sent the request: then it is not known how far the clocks differed.
    """
    own = find(tx, record.account, record.tracking_id)
    if own is None or own.idempotency_key != record.idempotency_key:
        own = record
    lost_at, offset = own.response_lost_at or moment(tx.now), own.clock_offset
    if offset is None and since_sent is not None and record.sent_at is not None:
        offset = offset_at(service_time, record.sent_at.timestamp() + since_sent())
    columns = {"response_lost_at": lost_at.timestamp(), "clock_offset": offset}
    as_lost = replace(record, response_lost_at=lost_at, clock_offset=offset)
    return _change(tx, record, columns) or as_lost


def bind_call(
    tx: Tx,
    record: CallRecord,
    call: Call,
    *,
    proven: bool,
    service_time: ServiceTime = lambda: None,
) -> CallRecord | None:
    """Bind a call of the service to its record, and write its outcome if it has ended.

    If `record` has ended (`ended_with`), it ends as by `finish`. The call is `proven` if the
    service answered the record's own request with it. Then a record that had only found the call in
    the service's list loses it, and its outcome is unknown again.

    Returns None when the call is bound to another record, or `record` has gone on to another
    attempt.
    """
    own, other = _rows(tx, record, call.call_id)
    if own is not None and own["idempotency_key"] != record.idempotency_key:
        return None
    if other is not None:
        if not proven or other["response_lost_at"] is None:
            return None
        lost = ("call_id", "outcome", "calendar", "reached", "error", "delivered_at")
        change(tx, other["tracking_id"], "TRUE", {"state": "unknown", **dict.fromkeys(lost)})
    offset = own["clock_offset"] if own is not None else record.clock_offset
    record = replace(
        record, clock_offset=offset_at(service_time, tx.now) if offset is None else offset
    )
    if record.state is CallState.ENDED:
        return _end(tx, own, record)
    if own is not None:
        changed = "call_id = :call_id, outcome = :outcome, clock_offset = :offset"
        outcome = (
            call.model_dump_json() if call.is_final and own["state"] in ACTIVE else own["outcome"]
        )
        values = {"call_id": call.call_id, "outcome": outcome, "offset": record.clock_offset}
        tx.run(
            f"UPDATE calls SET {changed} WHERE tracking_id = :id", id=record.tracking_id, **values
        )
    return record


def finish(tx: Tx, ended: CallRecord) -> CallRecord:
    """Write down how a call ended (`ENDED`, `REFUSED`, or `UNKNOWN`), and plan what comes after it.

    An outcome is not changed later, unless KallyAI says more about it
    (`CallRecord.tells_more_than`). A record that is no longer in the ledger, because its file was
    deleted, is only returned.

    Returns the record as it is then: the next attempt, if the call is tried again.
    """
    own, other = _rows(tx, ended, ended.call_id)
    # The record had found the call in the list, and the other one has it since.
    if other is not None:
        return find(tx, ended.account, ended.tracking_id) or ended
    return _end(tx, own, ended)


def _end(tx: Tx, own: Row | None, ended: CallRecord) -> CallRecord:
    """Write the end of a record into its row `own`, if there is one, which may be of a newer
    version.
    """
    if own is None:
        return replace(ended, ended_at=moment(tx.now))
    known = next(iter(readable(tx, [own])), None)
    if ended.is_calendar_unread and known is not None and known.calendar is not None:
        ended = replace(ended, calendar=known.calendar)  # a booking that is known must not be lost
    was_over = own["state"] == "ended"
    columns = {
        "state": ended.state.value,
        "ended_at": own["ended_at"] if was_over else tx.now,
        "delivered_at": own["delivered_at"] if _is_delivered_already(known, ended) else None,
        "call_id": ended.call_id or own["call_id"],
        "clock_offset": ended.clock_offset if own["clock_offset"] is None else own["clock_offset"],
        **end_columns(ended),
    }
    is_news = not was_over or (known is not None and ended.tells_more_than(known))
    # A worker that has lost a call to another one sent nothing, but the other one may have.
    is_proven = ended.state is not CallState.REFUSED or own["worker"] == ended.worker
    may_end = is_news and is_proven and own["state"] not in NOT_PLACED
    if not may_end or (record := _change(tx, ended, columns)) is None:
        return find(tx, ended.account, ended.tracking_id) or ended
    # Nothing follows an unknown outcome that is found out, because a client may have been told that
    # nothing does.
    if own["state"] in ACTIVE:
        return follow_up(tx, record)
    if record.reached:
        stop_next_after(tx, record)
    return record


def _is_delivered_already(known: CallRecord | None, ended: CallRecord) -> bool:
    """Whether the news need not be delivered after the end `known` was: nobody was reached, as
    before.

    Else a request to place the call again would be answered with an end that its client knows.
    """
    if known is None or known.state is not CallState.ENDED:
        return False
    return not known.reached and not ended.reached


def cancel(tx: Tx, account: AccountKey, tracking_id: str) -> bool:
    """Cancel a call whose request has not left. If it has left, no other one is sent.

    Returns False when the request has left, or there is no such call.
    """
    not_sent = f"{MINE} AND {state_in(*WAITING)}"
    if (
        canceled := end(tx, tracking_id, not_sent, CallState.CANCELED, **account.columns)
    ) is not None:
        follow_up(tx, canceled)  # a list ends with it
        return True
    for record in select(tx, account, "tracking_id = :id AND state = 'sent'", id=tracking_id):
        last: Row = {"attempts": record.schedule.attempt}
        if record.schedule.place_by is not None:
            last["place_by"] = tx.now  # it is not put off
        change(tx, tracking_id, "state = 'sent'", last)
    return False


def release(tx: Tx, account: AccountKey, tracking_id: str) -> None:
    """End a record whose reservation was not confirmed, if it was written.

    Its request has not left.
    """
    error = KallyAIError(
        "The ledger did not confirm the reservation, so nothing was sent.", code="not_sent"
    )
    not_sent = f"{MINE} AND {state_in(*OPEN)}"
    if (
        released := end(tx, tracking_id, not_sent, CallState.REFUSED, error, **account.columns)
    ) is not None:
        follow_up(tx, released)  # a list stops


def mark_delivered(tx: Tx, records: Collection[CallRecord], *, delivered: bool) -> None:
    """Note that the outcomes of these calls were delivered, or that they were not `delivered` after
    all.

    A record is not changed if its state in the ledger differs from the one that was delivered. This
    locks no account.
    """
    for record in records:
        if not record.is_open:
            delivery = (
                "UPDATE calls SET delivered_at = :at WHERE tracking_id = :id AND state = :state"
            )
            tx.run(
                delivery,
                at=tx.now if delivered else None,
                id=record.tracking_id,
                state=record.state.value,
            )


def competitors(
    tx: Tx, record: CallRecord, service_time: ServiceTime
) -> tuple[list[CallRecord], set[str], float]:
    """The other records of an account with the number of `record`, which the service's call of it
    may belong to.

    Returns those whose call is not known, the `call_id`s of the others, and the offset of the
    clocks now, 0 if unknown.
    """
    same_number = "number = :number AND tracking_id <> :id AND call_id"
    values = {"number": record.submission.respondent_phone, "id": record.tracking_id}
    may_be_placed = f"sent_at IS NOT NULL AND {state_not_in(*NOT_PLACED)}"
    unbound = select(tx, record.account, f"{same_number} IS NULL AND {may_be_placed}", **values)
    bound = f"SELECT call_id FROM calls WHERE {MINE} AND {same_number} IS NOT NULL"
    call_ids = {row["call_id"] for row in tx.rows(bound, **values, **record.account.columns)}
    return unbound, call_ids, offset_at(service_time, tx.now) or 0.0


def _change(tx: Tx, record: CallRecord, columns: Row, condition: str = "TRUE") -> CallRecord | None:
    """`rows.change` in the same attempt: a worker that was suspended may write about an earlier
    one.
    """
    same_attempt = f"idempotency_key = :key AND {condition}"
    return change(
        tx,
        record.tracking_id,
        same_attempt,
        columns,
        key=record.idempotency_key,
        worker=record.worker,
    )


def _rows(tx: Tx, record: CallRecord, call_id: str | None) -> tuple[Row | None, Row | None]:
    """The row of a record, and that of another record of the account that the service's call is
    bound to.
    """
    both = (
        "SELECT * FROM calls WHERE tracking_id = :id "
        f"UNION ALL SELECT * FROM calls WHERE {MINE} AND call_id = :call_id AND tracking_id <> :id"
    )
    found = {
        row["tracking_id"] == record.tracking_id: row
        for row in tx.rows(both, id=record.tracking_id, call_id=call_id, **record.account.columns)
    }
    return found.get(True), found.get(False)
