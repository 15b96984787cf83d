"""Which scheduled calls a worker places now, and which records it takes over.

What was planned is looked at again when it is due: the night of the callee may have begun, the list
may have stopped, or a setting may refuse the call by now.
"""

from dataclasses import replace
from datetime import datetime

from kallyai_mcp.calls.changes import BATCH, AuditLine, Changes, View, after
from kallyai_mcp.calls.duplicates import Asked
from kallyai_mcp.calls.events import Adopt, Due, ServiceTime
from kallyai_mcp.calls.follow_up import ended, not_placed
from kallyai_mcp.calls.lists import end_with_list, go_on, open_list_that_made, take_out
from kallyai_mcp.calls.records import CallRecord, CallState, expired, is_due, is_late
from kallyai_mcp.calls.requests import refusal_of, with_key
from kallyai_mcp.calls.schedule import Schedule, bounded

_CLOCKS_AGREE = 120.0
"""How many seconds the ledger's clock and the service's may differ."""


def take(view: View, event: Due) -> Changes[tuple[CallRecord, ...]]:
    """Reserve scheduled calls for a worker, if they are due by both clocks.

    So a machine whose clock is wrong by hours does not call at night.
    """
    there = _service_now(view, event.service_time)
    scheduled = view.scheduled(event.only)
    due = [one for one in scheduled if is_due(one, view.now) and is_due(one, there)]
    changes = Changes[tuple[CallRecord, ...]](())
    for record in due:
        now = after(view, changes)
        if now.record(record.tracking_id) != record:
            continue  # its list has stopped because of one of the others
        taken = _take(now, record, event.worker, max(view.now, there))
        so_far = changes.answer if taken.answer is None else (*changes.answer, taken.answer)
        changes = changes.then(taken).answering(so_far)
    return changes


def adopt(view: View, event: Adopt) -> Changes[tuple[CallRecord, ...]]:
    """Give a worker up to `BATCH` of the records that no living process runs.

    A call that was due, and whose request has not left, is scheduled again: it is placed, or it
    expires.
    """
    active = view.active()
    dead = set(filter(view.is_abandoned, {record.worker for record in active} - {event.worker}))
    left = [one for one in active if one.worker in dead or _is_unknown(one, event)]
    taken = tuple(_taken_over(record, event.worker) for record in left[:BATCH])
    return Changes(taken, save=taken)


def _service_now(view: View, service_time: ServiceTime) -> datetime:
    """The time by the service's clock; the ledger's if that is not known, or about the same: a
    small difference does not let a call wait.
    """
    known = service_time()
    if known is None or abs((known - view.now).total_seconds()) <= _CLOCKS_AGREE:
        return view.now
    return known


def _take(view: View, record: CallRecord, worker: str, now: datetime) -> Changes[CallRecord | None]:
    """Reserve a scheduled call for `worker`, `now` by the clock that is ahead.

    The answer is None if it is not placed: its list has stopped, the callee's night has begun or
    its appointment is past, or a setting refuses it.
    """
    if _has_stopped_without(view, record):
        return end_with_list(view, record)
    bounded_record = replace(record, schedule=_bounded_when_due(view, record))
    if is_late(bounded_record, now):
        return _give_up(view, record)
    refusal = refusal_of(view, bounded_record)
    if refusal is not None:
        audit = Changes(None, audit=(AuditLine(bounded_record, refused_by=refusal.setting),))
        return audit.then(ended(view, not_placed(view, record, refusal))).answering(None)
    numbered = _with_key_when_due(view, bounded_record)
    taken = replace(numbered.answer, state=CallState.RESERVED, worker=worker)
    # The consent is in the line of the request.
    return numbered.then(Changes(taken, save=(taken,), audit=(AuditLine(taken),)))


def _has_stopped_without(view: View, record: CallRecord) -> bool:
    """Whether a list has made this call, and has stopped without ending it.

    What stops a list ends its next call, too. If that went wrong, the user was told all the same
    that nobody else is called.
    """
    return record.is_of_list and open_list_that_made(view, record) is None


def _bounded_when_due(view: View, record: CallRecord) -> Schedule:
    """The schedule of a call that is due, by what is known now: its window was planned before.

    For the next candidate of a list, the user has agreed to the time at which the list was begun.
    """
    call_list = open_list_that_made(view, record)
    agreed_for = call_list.asked_at if call_list is not None else record.schedule.not_before
    if agreed_for is None:
        return record.schedule
    return bounded(record.schedule, record.submission, record.timezone, agreed_for=agreed_for)


def _give_up(view: View, record: CallRecord) -> Changes[None]:
    """Let a scheduled call expire for which it is too late; a list calls another candidate."""
    over = expired(record, view.now)
    call_list = open_list_that_made(view, record)
    if call_list is None:
        return ended(view, over).answering(None)
    delivered = replace(over, delivered_at=view.now)  # the list tells it
    changes = Changes(None, save=(delivered,))
    left = take_out(after(view, changes), call_list, [record])
    changes = changes.then(left).answering(None)
    return changes.then(go_on(after(view, changes), left.answer)).answering(None)


def _with_key_when_due(view: View, record: CallRecord) -> Changes[CallRecord]:
    """A scheduled call with the key of its request: a new one, unless 429 has put it off."""
    if record.response_lost_at is not None:
        return Changes(replace(record, asked_at=view.now))
    known = view.same_calls(record, Asked(view.now, view.now, record.schedule.not_before))
    return with_key(view, record, known)


def _is_unknown(record: CallRecord, event: Adopt) -> bool:
    """Whether the worker has a record that it does not know."""
    return record.worker == event.worker and record.tracking_id not in event.known


def _taken_over(record: CallRecord, worker: str) -> CallRecord:
    was_due = record.state is CallState.RESERVED and record.schedule.not_before is not None
    state = CallState.SCHEDULED if was_due else record.state
    return replace(record, worker=worker, state=state)
