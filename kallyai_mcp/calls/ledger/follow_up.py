"""What comes after a call has ended, another attempt or the next candidate of a list, and how it is placed when due.

The transaction that ends a call also inserts the record of the next one, in state `scheduled`, due now or later. So
neither a crash between two calls nor a second worker can lose a call or place an extra one. The plan is data: how often
a call is tried is in its record, and the candidates of a list are in the table `call_lists`.
"""

from collections.abc import Collection
from dataclasses import replace

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.ledger.base import BATCH, ServiceTime, Tx
from kallyai_mcp.calls.ledger.lists import advance, cancel_next, open_lists_with, stop, without_last
from kallyai_mcp.calls.ledger.reservation import SameCalls, check_policy
from kallyai_mcp.calls.ledger.rows import change, end, insert, select, write_audit
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState, to_row
from kallyai_mcp.calls.schedule import NO_RETRY_AFTER, RETRIED, Attempt, Schedule, is_past_appointment, next_attempt
from kallyai_mcp.clock import moment

_DUE = "state = 'scheduled' AND not_before <= :now"

_CLOCKS_AGREE = 120.0
"""How many seconds the ledger's clock and the service's may differ."""

_NOT_SENT = (CallState.SCHEDULED, CallState.RESERVED, CallState.EXPIRED)


def follow_up(tx: Tx, record: CallRecord, *, is_in_list: bool = True) -> CallRecord:
    """Plan what comes after `record`, which this transaction has ended; returns it, or the next attempt of its call.

    Its account is locked, and its row says how it ended. Unless it `is_in_list`, no list has it, which is known.
    """
    retry = _plan_retry(tx, record)
    if retry is not None:
        return retry
    for call_list in open_lists_with(tx, record) if is_in_list else ():
        if call_list.records[-1].tracking_id == record.tracking_id:  # the user has passed an earlier one
            advance(tx, call_list)
    return record


def _plan_retry(tx: Tx, record: CallRecord) -> CallRecord | None:
    """Schedule the next attempt of a call, if there is to be one; returns it.

    The row becomes the next attempt, under a new key, so that the agent's tracking id stays valid. The ended attempt
    is copied under a new tracking id, so that limits count it, and the service's call stays bound.
    """
    now, schedule = moment(tx.now()), record.schedule
    if schedule.attempt >= schedule.attempts or record.call is None or record.call_id is None:
        return None
    if record.call.plain_status not in RETRIED or record.reached or now - record.placed_at > NO_RETRY_AFTER:
        return None
    due = next_attempt(now, record.submission.respondent_phone, record.timezone)
    if is_past_appointment(record.submission, due, record.timezone):
        return None
    attempt = Attempt(record.placed_at, record.call.plain_status, record.call_id)
    place_by = moment(due.timestamp() + tx.timing.place_within)
    following = Schedule(due, place_by, schedule.attempts, (*schedule.earlier, attempt))
    new = CallRecord.new(record.submission, record.account, now, record.timezone, record.session_id, following)
    # `new` has the tracking id of the copy, so that the generation of the record itself counts as used.
    retry = replace(SameCalls(tx, new).numbered(), tracking_id=record.tracking_id)
    scheduled = change(tx, record.tracking_id, "TRUE", to_row(retry))
    alone = replace(schedule, attempts=1)
    ended_copy = replace(record, tracking_id=new.tracking_id, delivered_at=now, schedule=alone)
    insert(tx, "calls", to_row(ended_copy))
    return scheduled


def stop_next_after(tx: Tx, record: CallRecord) -> None:
    """Let no call follow `record`, which reached somebody, as is known only now, unless the next one was sent."""
    error = KallyAIError(f"The attempt before ({record.call_id}) may have reached somebody.", code="reached_before")
    is_retry = "fingerprint = :fingerprint AND state IN ('scheduled', 'reserved', 'sent') AND earlier IS NOT NULL"
    for retry in select(tx, record.account, is_retry, fingerprint=record.fingerprint):
        if record.call_id not in {attempt.call_id for attempt in retry.schedule.earlier}:
            continue
        if retry.state in _NOT_SENT:
            end(tx, retry.tracking_id, "TRUE", CallState.REFUSED, error)
        else:  # no further one follows
            change(tx, retry.tracking_id, "TRUE", {"attempts": retry.schedule.attempt})
    for call_list in open_lists_with(tx, record):
        before, last = replace(call_list, records=call_list.records[:-1]), call_list.records[-1]
        is_next = [one.tracking_id for one in before.records[-1:]] == [record.tracking_id]
        if is_next and last.state in _NOT_SENT and (reason := before.next_stop_reason()) is not None:
            cancel_next(tx, call_list)
            stop(tx, without_last(tx, call_list), reason)


def find_due(tx: Tx, account: AccountKey) -> dict[str, list[CallRecord]]:
    """The first of the account's scheduled calls that are due, by tracking id, each with the calls before it.

    They are the earlier attempts of a call that is to be tried again, and the call before in a list, if they reached
    nobody, as far as is known. A list that asks all of its candidates goes on in any case.
    """
    due: dict[str, list[CallRecord]] = {}
    waiting_last = "ORDER BY CASE WHEN earlier IS NULL THEN 0 ELSE 1 END, not_before LIMIT :most"
    for record in select(tx, account, f"{_DUE} {waiting_last}", now=tx.now(), most=BATCH):
        found: list[CallRecord] = []
        for attempt in record.schedule.earlier:
            found += select(tx, account, "call_id = :id", id=attempt.call_id)
        for before in open_lists_with(tx, record):
            found += before.records[-2:-1] if before.until != "all" else ()
        due[record.tracking_id] = [one for one in found if one.state is CallState.ENDED and not one.reached]
    return due


def take_due(
    tx: Tx,
    account: AccountKey,
    worker: str,
    *,
    service_time: ServiceTime,
    only: Collection[str] | None = None,
) -> list[CallRecord]:
    """Reserve up to `BATCH` of the account's scheduled calls that are due for `worker`, the first due ones first.

    With some ids of calls or lists, `only` these. A call must be due by the service's clock too, if that is known, so
    that a machine whose clock is wrong by hours does not call at night.

    Returns these calls; among them those that a setting refuses now, which have ended with that error.
    """
    now, known = tx.now(), service_time()
    there = known.timestamp() if known is not None else now
    if abs(there - now) <= _CLOCKS_AGREE:
        there = now  # a small difference does not let a call wait
    in_time = f"{_DUE} AND not_before <= :there AND place_by >= :now AND place_by >= :there"
    names = {f"id_{number}": id_ for number, id_ in enumerate(only or ())}
    listed = ", ".join(f":{name}" for name in names) or "NULL"
    of_these = f"(tracking_id IN ({listed}) OR session_id IN ({listed}))" if only is not None else "TRUE"
    first_due = f"{in_time} AND {of_these} ORDER BY not_before LIMIT :most"
    due = select(tx, account, first_due, now=now, there=there, most=BATCH, **names)
    return [_take(tx, record, worker) for record in due]


def _take(tx: Tx, record: CallRecord, worker: str) -> CallRecord:
    """Reserve a scheduled call for `worker`, unless somebody else was faster. If a setting refuses it, it ends so."""
    scheduled = "state = 'scheduled'"
    if (refusal := check_policy(tx, record)) is not None:
        if (refused := end(tx, record.tracking_id, scheduled, CallState.REFUSED, refusal)) is not None:
            write_audit(tx, record, None, refused_by=refusal.setting)
            follow_up(tx, refused)
        return replace(record, state=CallState.REFUSED, error=refusal)
    taken = replace(SameCalls(tx, record).numbered(), state=CallState.RESERVED, worker=worker)
    if (reserved := change(tx, record.tracking_id, scheduled, to_row(taken))) is not None:
        write_audit(tx, reserved, None)  # the consent is in the line of the request
    return reserved or record
