"""The next call of a list, or why the list stops; and how a list begins, goes on, and is canceled.

The calls of a list are the records with its `plan_id`. The decision that ends one of them also
makes the next one. So neither a crash between two calls nor a second worker can lose a call or
place an extra one.

Where all candidates are asked, several are called at a time: so many as a setting allows for all
such lists of an account together (`Timing.at_once`). A list that finds no room waits, and the
decision that ends a call of another one also makes its next call (`others_go_on`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kallyai_mcp.api.errors import KallyAIError, PolicyError
from kallyai_mcp.calls.call_lists import LONGEST, CallList, StopReason
from kallyai_mcp.calls.changes import AuditLine, Changes, SameCalls, View, after
from kallyai_mcp.calls.duplicates import Asked
from kallyai_mcp.calls.endings import has_ended
from kallyai_mcp.calls.errors import RecordDeletedError
from kallyai_mcp.calls.events import Answer_co
from kallyai_mcp.calls.expiring import list_now, list_of, stopped
from kallyai_mcp.calls.records import WAITING, CallRecord, CallState
from kallyai_mcp.calls.requests import (
    answer_among,
    refusal_by_setting,
    refusal_of,
    with_key,
)
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.calls.tracking_ids import ids_of


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


@dataclass(frozen=True)
class Waits:
    """No call may be made now: enough are in progress, or everybody was called."""


Step = Joined | TooLate | Refused | Placed | Stopped | Waits


@dataclass(frozen=True)
class Sender:
    """The worker that sends the next calls at once, and the tracking ids of those calls."""

    worker: str
    tracking_ids: tuple[str, ...]

    def sent(self, record: CallRecord, call_list: CallList) -> CallRecord | None:
        """The record as the worker sends it; None if all ids are those of calls of the list."""
        used = ids_of(call_list.records)
        for tracking_id in self.tracking_ids:
            if tracking_id not in used:
                return replace(record, worker=self.worker, tracking_id=tracking_id)
        return None


def next_call(view: View, call_list: CallList) -> Step:
    """What the next call of an open list is."""
    reason = call_list.next_stop_reason()
    if reason is not None:
        return Stopped(reason)
    if call_list.has_called_all or not _has_room(view, call_list):
        return Waits()
    candidate = _record_of(call_list, len(call_list.records))
    asked = Asked(view.now, view.now, candidate.schedule.not_before)
    known = view.same_calls(candidate, asked)
    if call_list.records and not known.is_whole:  # else a request for the list gets an error
        return Stopped(StopReason.UNKNOWN)
    try:
        duplicate = answer_among(view, known, asked)
    except RecordDeletedError as deleted:
        return _not_placed(view, call_list, with_key(view, candidate, known), deleted)
    return _step_for(view, call_list, candidate, known, duplicate)


def _step_for(
    view: View,
    call_list: CallList,
    candidate: CallRecord,
    known: SameCalls,
    duplicate: CallRecord | None,
) -> Step:
    """The step for the next candidate, of whose call these records are known."""
    if duplicate is not None and duplicate.plan_id is None:
        return Joined(duplicate)
    if call_list.is_too_late_for_all(view.now):
        return Stopped(StopReason.REFUSED)
    if call_list.is_too_late(len(call_list.records), view.now):
        return TooLate()
    numbered = with_key(view, candidate, known)
    return _new_call(view, call_list, numbered, duplicate)


def _new_call(
    view: View,
    call_list: CallList,
    numbered: Changes[CallRecord],
    of_another_list: CallRecord | None,
) -> Step:
    """The step for a candidate that was not called yet, but perhaps for another list."""
    record = replace(numbered.answer, plan_id=call_list.list_id)
    refusal = refusal_of(view, record)
    if refusal is not None:
        return Refused(numbered.answering(_refused(view, record, refusal)), refusal.setting)
    if of_another_list is not None:
        words = "Another list has the same call, so this list did not place it."
        reason = of_another_list.tracking_id
        error = KallyAIError(words, code="in_another_list", reason=reason)
        return _not_placed(view, call_list, numbered, error)
    return Placed(numbered.answering(record))


def _not_placed(
    view: View, call_list: CallList, numbered: Changes[CallRecord], error: KallyAIError
) -> Refused:
    """The step for a candidate whose call no setting refuses."""
    record = replace(numbered.answer, plan_id=call_list.list_id)
    return Refused(numbered.answering(_refused(view, record, error)), None)


def refusal_of_all(view: View, call_list: CallList) -> PolicyError | None:
    """The error of a setting, if settings refuse the calls to all candidates who may come next.

    None if one of them may be called, or was called alone just now, so that the list would have
    that call.
    """
    left = call_list.without(ids_of(call_list.refused))
    places = range(len(left.records), len(left.submissions))
    errors = [_refusal_of_candidate(view, _record_of(left, place)) for place in places]
    return errors[0] if all(errors) else None


def _refusal_of_candidate(view: View, candidate: CallRecord) -> PolicyError | None:
    asked = Asked(view.now, view.now, candidate.schedule.not_before)
    if answer_among(view, view.same_calls(candidate, asked), asked) is not None:
        return None
    return refusal_by_setting(view, candidate)


def go_on(view: View, call_list: CallList, sender: Sender | None = None) -> Changes[CallList]:
    """Let an open list make its next calls, or stop.

    Without `sender`, the calls are scheduled, due now. A call that may not be placed is written as
    refused, and another candidate follows if it was only about this one.
    """
    changes = Changes(call_list)
    step: Step | None = None
    while not isinstance(step, Stopped | Waits):
        now = after(view, changes)
        step = next_call(now, changes.answer)
        changes = changes.then(_done(now, changes.answer, step, sender))
    return changes


def go_on_after(view: View, record: CallRecord) -> Changes[None]:
    """What follows the end of a call in its list: nothing if it has none, or if the user has passed
    the call.
    """
    call_list = open_list_of(view, record)
    if call_list is None:
        return Changes(None)
    if call_list.asks_all or call_list.is_last(record):
        return go_on(view, call_list).answering(None)
    return Changes(None)


def others_go_on(view: View, changes: Changes[Answer_co]) -> Changes[Answer_co]:
    """These changes, and what follows them in other lists: if they end a call of a list, those that
    wait for room make their next calls, the oldest list first.
    """
    if not any(_ends_in_list(view, record) for record in changes.save):
        return changes
    for found in after(view, changes).lists_in_progress():
        now = after(view, changes)
        call_list = list_now(now, found)
        if call_list.asks_all and call_list.stop_reason is None:
            changes = changes.then(go_on(now, call_list)).answering(changes.answer)
    return changes


def stop_after(view: View, record: CallRecord) -> Changes[None]:
    """Stop the list that goes on after `record`, if it would have stopped, had the result of that
    call been known; not if the next call was sent.

    Where all are asked, no result stops a list.
    """
    call_list = open_list_of(view, record)
    if call_list is None or call_list.asks_all or not _waits(call_list.records[-1]):
        return Changes(None)
    last = call_list.records[-1]
    before = call_list.without({last.tracking_id})
    if not before.is_last(record):
        return Changes(None)
    reason = before.next_stop_reason()
    if reason is None:
        return Changes(None)
    left = _take_back(view, call_list, [last])
    return left.then(stopped(view, left.answer, reason)).answering(None)


def end_with_list(view: View, record: CallRecord) -> Changes[None]:
    """Cancel a call that a list has made, which has stopped without it.

    Unless the user has canceled the list, its candidate counts as not called.
    """
    call_list = list_of(view, record)
    if call_list is None or call_list.stop_reason is StopReason.CANCELED:
        return Changes(None, save=(canceled(view, record),))
    return _take_back(view, call_list, [record]).answering(None)


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


def take_out(view: View, call_list: CallList, records: Sequence[CallRecord]) -> Changes[CallList]:
    """Take calls out of a list, so that their candidates count as not called, and come next."""
    known = in_ledger(view, records)
    left = call_list.without(ids_of(records))
    return Changes(
        left,
        save=tuple(replace(one, plan_id=None) for one in known),
        lists=() if left.submissions == call_list.submissions else (left,),
        left=ids_of(known),
    )


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


def _has_room(view: View, call_list: CallList) -> bool:
    """Whether one more call of this list may be in progress now."""
    if not call_list.asks_all:
        return not call_list.in_progress
    others = [one for one in view.lists_in_progress() if one.list_id != call_list.list_id]
    together = [call_list, *(one for one in others if one.asks_all)]
    return sum(len(one.in_progress) for one in together) < view.timing.at_once


def _ends_in_list(view: View, record: CallRecord) -> bool:
    """Whether a change of a record ends a call of a list."""
    before = view.record(record.tracking_id)
    if before is None or before.plan_id is None:
        return False
    return has_ended(before, record)


def _done(view: View, call_list: CallList, step: Step, sender: Sender | None) -> Changes[CallList]:
    """What a step of a list writes; the answer is the list after it."""
    match step:
        case Stopped(reason):
            return stop(view, call_list, reason)
        case Waits():
            return Changes(call_list)
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
    sent = sender.sent(record, call_list) if sender is not None else None
    if sent is not None:
        return sent
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
    return _may_leave(record) or record.state is CallState.EXPIRED


def _may_leave(record: CallRecord) -> bool:
    """Whether the request of a call has not left, and may leave."""
    return record.state in WAITING


def in_ledger(view: View, records: Iterable[CallRecord]) -> list[CallRecord]:
    """Some records as the ledger has them by now, without those that it no longer has."""
    return list(filter(None, map(view.record, ids_of(records))))


def stop(view: View, call_list: CallList, reason: StopReason) -> Changes[CallList]:
    """Stop a list. Its calls in progress end as they do.

    If the user has canceled it, its calls that were not sent are canceled; else those that are
    only scheduled are taken back.
    """
    if reason is StopReason.CANCELED:
        ended = stopped(view, call_list, reason)
        waiting = filter(_may_leave, in_ledger(view, call_list.waiting))
        return ended.then(Changes(ended.answer, save=tuple(canceled(view, one) for one in waiting)))
    left = _take_back(view, call_list, call_list.due)
    return left.then(stopped(after(view, left), left.answer, reason))


def _take_back(view: View, call_list: CallList, records: Sequence[CallRecord]) -> Changes[CallList]:
    """Cancel calls that the list has made, as far as they were not sent, and take them out."""
    made = [one for one in in_ledger(view, records) if one.is_of_list]
    ended = [canceled(view, one) for one in filter(_may_leave, made)]
    changes = Changes(None, save=tuple(ended))
    return changes.then(take_out(after(view, changes), call_list, records))


def canceled(view: View, record: CallRecord) -> CallRecord:
    """A call that the user, or the end of its list, has canceled: nobody has to be told."""
    return replace(
        record, state=CallState.CANCELED, ended_at=view.now, delivered_at=view.now, error=None
    )
