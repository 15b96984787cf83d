"""The next call of a list, or why the list stops; and how a list begins, goes on, and is canceled.

The calls of a list are the records with its `plan_id`. The decision that ends one of them also
makes the next one. So neither a crash between two calls nor a second worker can lose a call or
place an extra one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.call_lists import ENDED_FOR_GOOD, LONGEST, PASSES, CallList, StopReason
from kallyai_mcp.calls.changes import AuditLine, Changes, View, after
from kallyai_mcp.calls.duplicates import Asked
from kallyai_mcp.calls.events import CancelList, ListRequested
from kallyai_mcp.calls.expiring import list_now, list_of, stopped
from kallyai_mcp.calls.records import WAITING, CallRecord, CallState
from kallyai_mcp.calls.requests import (
    answer_among,
    check_consent,
    last_call,
    refusal_of,
    with_key,
)
from kallyai_mcp.calls.schedule import Schedule


@dataclass(frozen=True)
class Joined:
    """The same call was asked for alone, and becomes one of the list."""

    record: CallRecord


@dataclass(frozen=True)
class TooLate:
    """The candidate may no longer be called now, and comes last."""


@dataclass(frozen=True)
class Refused:
    """The call may not be placed: a setting refuses it, or another list has it."""

    record: Changes[CallRecord]
    setting: str | None


@dataclass(frozen=True)
class Placed:
    """The call is to be placed."""

    record: Changes[CallRecord]


@dataclass(frozen=True)
class Stopped:
    """No further candidate may be called."""

    reason: StopReason


Step = Joined | TooLate | Refused | Placed | Stopped


@dataclass(frozen=True)
class Sender:
    """The worker that sends the next call at once, and the tracking id of that call."""

    worker: str
    tracking_id: str


def next_call(view: View, call_list: CallList) -> Step:
    """What the next call of an open list is, after its last one has ended."""
    reason = call_list.next_stop_reason()
    if reason is not None:
        return Stopped(reason)
    place = len(call_list.records)
    candidate = _record_of(call_list, place)
    asked = Asked(view.now, view.now, candidate.schedule.not_before)
    known = view.same_calls(candidate, asked)
    duplicate = answer_among(view, known, asked)
    if duplicate is not None and duplicate.plan_id is None:
        return Joined(duplicate)
    if call_list.is_too_late_for_all(view.now):
        return Stopped(StopReason.REFUSED)
    if call_list.is_too_late(place, view.now):
        return TooLate()
    numbered = with_key(view, candidate, known)
    record = replace(numbered.answer, plan_id=call_list.list_id)
    refusal = refusal_of(view, record)
    if refusal is not None:
        return Refused(numbered.answering(_refused(view, record, refusal)), refusal.setting)
    if duplicate is not None:
        words = "Another list has the same call, so this list did not place it."
        error = KallyAIError(words, code="in_another_list", reason=duplicate.tracking_id)
        return Refused(numbered.answering(_refused(view, record, error)), None)
    return Placed(numbered.answering(record))


def go_on(view: View, call_list: CallList, sender: Sender | None = None) -> Changes[CallList]:
    """Let an open list make its next call, or stop.

    Without `sender`, the call is scheduled, due now. A call that may not be placed is written as
    refused, and another candidate follows if it was only about this one.
    """
    changes = Changes(call_list)
    while not changes.answer.is_calling:
        step = next_call(after(view, changes), changes.answer)
        changes = changes.then(_done(after(view, changes), changes.answer, step, sender))
        if isinstance(step, Placed | Stopped):
            break
    return changes


def go_on_after(view: View, record: CallRecord) -> Changes[None]:
    """What follows the end of a call in its list: nothing if it has none, or if the user has passed
    the call.
    """
    call_list = open_list_of(view, record)
    if call_list is None or not call_list.is_last(record):
        return Changes(None)
    return go_on(view, call_list).answering(None)


def stop_after(view: View, record: CallRecord) -> Changes[None]:
    """Stop the list that goes on after `record`, if it would have stopped, had the result of that
    call been known; not if the next call was sent.
    """
    call_list = open_list_of(view, record)
    if call_list is None or not _waits(call_list.records[-1]):
        return Changes(None)
    before = replace(call_list, records=call_list.records[:-1])
    if not before.is_last(record):
        return Changes(None)
    reason = before.next_stop_reason()
    if reason is None:
        return Changes(None)
    canceled = _cancel_next(view, call_list)
    left = without_last(after(view, canceled), call_list)
    return canceled.then(left).then(stopped(view, left.answer, reason)).answering(None)


def open_list_of(view: View, record: CallRecord) -> CallList | None:
    """The list that has this record; None when there is none, or it has stopped."""
    found = list_of(view, record)
    if found is None:
        return None
    call_list = list_now(view, found)
    return call_list if call_list.stop_reason is None else None


def open_list_that_made(view: View, record: CallRecord) -> CallList | None:
    """The list that has made this call; None when none has, or it has stopped."""
    return open_list_of(view, record) if record.is_of_list else None


def without_last(view: View, call_list: CallList) -> Changes[CallList]:
    """Take the last call out of a list, so that the candidate counts as not called."""
    last = call_list.records[-1]
    known = view.record(last.tracking_id)
    left = replace(call_list, records=call_list.records[:-1])
    if known is None:
        return Changes(left)
    return Changes(left, save=(replace(known, plan_id=None),), left=(last.tracking_id,))


def request_list(view: View, event: ListRequested) -> Changes[tuple[CallList, bool]]:
    """Begin a list, or let it go on if it has calls already, and make its next call.

    Nothing is done if another list answers the request, or if the list has changed since it was
    read so that it may not go on.

    Raises:
        ConsentOutdatedError: A number was called since, or the confirmation was used already.
    """
    requested = event.requested
    consent = event.consent
    known = _known(view, requested)
    if known is not None and not _may_go_on(known, requested):
        return Changes((known, False))
    call_list = replace(known or requested, goes_on_if_answered=requested.goes_on_if_answered)
    check_consent(view, consent, last_calls(view, call_list))
    freed = _free_last(view, call_list)
    agreed = replace(
        freed.answer, consent=consent, asked_at=view.now, stop_reason=None, ended_at=None
    )
    begun = Changes(agreed, begin=(agreed,)) if known is None else _continued(freed, view, agreed)
    changes = freed.then(begun).then(Changes(agreed, used=consent.confirmation_id))
    placed = go_on(after(view, changes), agreed, Sender(event.worker, event.tracking_id))
    return changes.then(placed).answering((placed.answer, True))


def cancel_list(view: View, event: CancelList) -> Changes[None]:
    """Stop a list so that it can't go on, and cancel its next call if that was not sent; nothing if
    it has ended.
    """
    found = view.call_list(event.list_id)
    if found is None:
        return Changes(None)
    call_list = list_now(view, found)
    if call_list.stop_reason in ENDED_FOR_GOOD:
        return Changes(None)
    canceled = stopped(view, call_list, StopReason.CANCELED)
    return canceled.then(_cancel_next(view, call_list))


def same_list(view: View, requested: CallList) -> CallList | None:
    """The list that answers the request for `requested`: it goes on, waits for its user, or ended a
    short time ago.
    """
    lists = [list_now(view, found) for found in view.same_lists(requested.fingerprint)]
    return next((one for one in lists if _answers(view, one)), None)


def last_calls(view: View, requested: CallList) -> tuple[datetime | None, ...]:
    """When the number of each candidate in `requested.to_come` was called last, in that order; None
    for never.
    """
    return tuple(last_call(view, one.respondent_phone) for one in requested.to_come)


def _answers(view: View, call_list: CallList) -> bool:
    """Whether a list answers a request for the same one."""
    timing = view.timing
    seconds = timing.wait_for_user if call_list.waits_for_user else timing.repeat_after
    ended_at = call_list.ended_at
    if ended_at is None or ended_at > view.now - timedelta(seconds=seconds):
        return True
    if call_list.stop_reason is StopReason.CANCELED:
        return False
    return not call_list.was_delivered(view.now - timedelta(seconds=timing.repeat_after_delivery))


def _known(view: View, requested: CallList) -> CallList | None:
    """The list in the ledger that a request is about, which may ask for a new one."""
    if not requested.records:
        return same_list(view, requested)
    found = view.call_list(requested.list_id)
    return list_now(view, found) if found is not None else None


def _may_go_on(known: CallList, requested: CallList) -> bool:
    """Whether a list may go on, and has made no call since it was read."""
    return known.may_go_on and len(known.records) == len(requested.records)


def _free_last(view: View, call_list: CallList) -> Changes[CallList]:
    """A list that goes on: a candidate whose call was refused is called again, one whose call the
    user has decided on is passed.
    """
    if call_list.was_refused:
        return without_last(view, call_list)
    if call_list.stop_reason in PASSES:
        return Changes(replace(call_list, passed=len(call_list.records)))
    return Changes(call_list)


def _continued(freed: Changes[CallList], view: View, call_list: CallList) -> Changes[CallList]:
    """A list that goes on, with its calls that an older version has made."""
    own = [_known_record(after(view, freed), one) for one in call_list.records]
    joined = tuple(
        replace(one, plan_id=call_list.list_id) for one in own if one and one.plan_id is None
    )
    return Changes(call_list, save=joined, lists=(call_list,))


def _known_record(view: View, record: CallRecord) -> CallRecord | None:
    """A record as it was written, also if it is late by now."""
    return view.record(record.tracking_id)


def _record_of(call_list: CallList, place: int) -> CallRecord:
    """A record, not written yet, for the candidate at this place."""
    return CallRecord.new(
        call_list.submissions[place],
        call_list.account,
        call_list.asked_at,
        call_list.timezones[place],
        call_list.list_id,
    )


def _refused(view: View, record: CallRecord, error: KallyAIError) -> CallRecord:
    return replace(record, state=CallState.REFUSED, error=error, ended_at=view.now)


def _done(view: View, call_list: CallList, step: Step, sender: Sender | None) -> Changes[CallList]:
    """What a step of a list writes; the answer is the list after it."""
    match step:
        case Stopped(reason):
            return stopped(view, call_list, reason)
        case Joined(duplicate):
            return _joined(view, call_list, duplicate)
        case TooLate():
            later = call_list.with_next_last()
            return Changes(later, lists=(later,))
        case Refused(record, setting):
            audit = (AuditLine(record.answer, call_list.consent, setting),) if setting else ()
            return record.then(_inserted(call_list, record.answer, audit))
        case Placed(record):
            placed = _placed(view, call_list, record.answer, sender)
            audit = (AuditLine(placed, call_list.consent),)
            return record.then(_inserted(call_list, placed, audit))


def _joined(view: View, call_list: CallList, duplicate: CallRecord) -> Changes[CallList]:
    known = view.record(duplicate.tracking_id) or duplicate
    joined = replace(known, plan_id=call_list.list_id)
    return Changes(_with(call_list, joined), save=(joined,))


def _placed(
    view: View, call_list: CallList, record: CallRecord, sender: Sender | None
) -> CallRecord:
    """A call that its sender sends at once, or that is scheduled, due now."""
    if sender is not None:
        return replace(record, worker=sender.worker, tracking_id=sender.tracking_id)
    window = Schedule(view.now, call_list.asked_at + LONGEST)
    return replace(record, state=CallState.SCHEDULED, schedule=window)


def _inserted(
    call_list: CallList, record: CallRecord, audit: Sequence[AuditLine]
) -> Changes[CallList]:
    return Changes(_with(call_list, record), insert=(record,), audit=tuple(audit))


def _with(call_list: CallList, record: CallRecord) -> CallList:
    return replace(call_list, records=(*call_list.records, record))


def _waits(record: CallRecord) -> bool:
    """Whether the request of a list's newest call has not left."""
    return record.state in WAITING or record.state is CallState.EXPIRED


def _cancel_next(view: View, call_list: CallList) -> Changes[None]:
    """Cancel the last call of a list, if the list has made it and it has not been sent."""
    if not call_list.records:
        return Changes(None)
    last = view.record(call_list.records[-1].tracking_id)
    if last is None or last.state not in WAITING or last.session_id != call_list.list_id:
        return Changes(None)
    return Changes(None, save=(canceled(view, last),))


def canceled(view: View, record: CallRecord) -> CallRecord:
    """A call that the user, or the end of its list, has canceled: nobody has to be told."""
    return replace(
        record, state=CallState.CANCELED, ended_at=view.now, delivered_at=view.now, error=None
    )
