"""What each event does to a call: the rules of the program, without a database.

`decide` is the whole of it. `_DECISIONS`, at the end, says what decides about which event, and
`FROM` from which states it may lead; in any other state, it changes nothing. `follow_up.ended` adds
what follows the end of a call.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls import due_calls, expiring, list_requests, lists, requests
from kallyai_mcp.calls.changes import Changes, View, as_it_is_now
from kallyai_mcp.calls.changes import after as after_changes
from kallyai_mcp.calls.ended_record import may_end, with_end
from kallyai_mcp.calls.events import (
    Adopt,
    Cancel,
    CancelList,
    Checked,
    Delayed,
    Due,
    Event,
    Found,
    Late,
    Leave,
    ListRequested,
    Lost,
    Over,
    Refuse,
    Release,
    RemoveOptOut,
    Requested,
    ServiceTime,
    TranscriptRead,
)
from kallyai_mcp.calls.follow_up import ended, not_placed, nothing_follows
from kallyai_mcp.calls.opt_outs import OptOut, opt_out_of, replaces
from kallyai_mcp.calls.records import ACTIVE, OPEN, WAITING, CallRecord, CallState, is_due
from kallyai_mcp.calls.schedule import put_off

E = TypeVar("E", bound=Event[Any])

_EVERY = tuple(CallState)

FROM: Mapping[type[Event[Any]], tuple[CallState, ...]] = {
    Leave: ACTIVE,
    Delayed: ACTIVE,
    Lost: _EVERY,
    Refuse: (*ACTIVE, CallState.UNKNOWN),
    Found: _EVERY,
    Over: (*ACTIVE, CallState.UNKNOWN, CallState.ENDED),
    Cancel: OPEN,
    Release: OPEN,
    Due: (CallState.SCHEDULED,),
    Adopt: ACTIVE,
    Late: (CallState.SCHEDULED,),
}
"""The states from which an event about a call may lead."""

_NO_RECORD = ""
"""The tracking id of no record."""

_SMALL_JUMP = 1.0
"""How many seconds a clock may be set back and count as unchanged, as time servers do."""


def decide(view: View, event: Event[Any]) -> Changes[Any]:
    """What an event changes, and its answer. Errors are those of its function: then nothing is
    changed.
    """
    return lists.others_go_on(view, _decided(view, event))


def _decided(view: View, event: Event[Any]) -> Changes[Any]:
    """What an event changes in its own call or list."""
    return _DECISIONS[type(event)](view, event)


def leave(view: View, event: Leave) -> Changes[CallRecord]:
    """Note that a request is about to leave; a record says `sent` before its request may.

    Raises:
        KallyAIError: It must not leave: the record is too old, or not due (code `too_late`), or it
            has ended, is gone, or belongs to another worker, or this worker lost its lease (code
            `not_sent`).
    """
    own = _held(view, event.record, FROM[Leave])
    if own is None or not view.holds_lease(own.worker):
        raise KallyAIError(
            "This process no longer holds the call's record, so it sent nothing.", code="not_sent"
        )
    if not (_is_young(view, own) and is_due(own, view.now)):
        minutes = view.timing.send_within / 60
        words = (
            f"The request did not leave within {minutes:g} minutes or when it was due, so it was "
            "not sent."
        )
        raise KallyAIError(words, code="too_late")
    sent = replace(own, state=CallState.SENT, error=None, sent_at=own.sent_at or view.now)
    # Without `sent_at`, the offset is that of an earlier request.
    if own.sent_at is None or own.clock_offset is None:
        sent = replace(sent, clock_offset=offset_at(event.service_time, view.now.timestamp()))
    return Changes(sent, save=(sent,))


def mark_delayed(view: View, event: Delayed) -> Changes[CallRecord]:
    """Note why a request has not left, or must leave once more."""
    own = _held(view, event.record, FROM[Delayed])
    if own is None:
        return Changes(event.record)
    delayed = replace(own, error=event.error)
    return Changes(delayed, save=(delayed,))


def mark_lost(view: View, event: Lost) -> Changes[CallRecord]:
    """Note when a response was first lost, and how far the clocks differed when its request left.

    The answer says so, too, when the record is gone.
    """
    own = _same_attempt(view, event.record)
    if own is None:
        return Changes(_lost(view, event.record, event))
    lost = _lost(view, own, event)
    return Changes(lost, save=(lost,))


def refuse(view: View, event: Refuse) -> Changes[CallRecord]:
    """Write down that a call was not placed; one that was due may wait (`schedule.put_off`).

    One that waits after 429 keeps its key, `sent_at`, and `response_lost_at`: before its next
    request, KallyAI's list is looked through. A list does not wait for its own calls; it stops.
    """
    refused = Over(replace(event.record, state=CallState.REFUSED, call=None, error=event.error))
    own = view.record(event.record.tracking_id)
    if own is None or own.is_of_list:
        return end(view, refused)
    waiting = put_off(own.schedule, event.error, view.now)
    if waiting is None:
        return end(view, refused)
    if _held(view, event.record, ACTIVE) is None:
        return Changes(as_it_is_now(view, own))
    later = replace(own, state=CallState.SCHEDULED, error=None, schedule=waiting)
    if own.response_lost_at is None:
        later = replace(later, sent_at=None, clock_offset=None)
    return Changes(later, save=(later,))


def bind(view: View, event: Found) -> Changes[CallRecord | None]:
    """Bind KallyAI's call to its record, and end that if the call has ended.

    A call is proven for the record whose own request KallyAI answered with it. Another record that
    had only found it in the list loses it, and its outcome is unknown again.
    """
    own = view.record(event.record.tracking_id)
    if own is not None and own.idempotency_key != event.record.idempotency_key:
        return Changes(None)
    freed = Changes(None)
    other = view.bound_to(event.call.call_id, event.record.tracking_id)
    if other is not None:
        if not event.proven or other.response_lost_at is None:
            return Changes(None)
        freed = Changes(None, save=(_without_call(other),))
    known = own or event.record
    offset = known.clock_offset
    if offset is None:
        offset = offset_at(event.service_time, view.now.timestamp())
    record = replace(event.record, clock_offset=offset)
    after = after_changes(view, freed)
    if record.state is CallState.ENDED:
        return freed.then(_over(after, own, record))
    if own is None:
        return freed.answering(record)
    return freed.then(_bound(own, event, offset)).answering(record)


def end(view: View, event: Over) -> Changes[CallRecord]:
    """Write down how a call ended, and what follows.

    An outcome is not changed later, unless KallyAI says more about it
    (`CallRecord.tells_more_than`). A record that is no longer in the ledger, because its file was
    deleted, is only returned.
    """
    own = view.record(event.ended.tracking_id)
    # The record had found the call in the list, and the other one has it since.
    if view.bound_to(event.ended.call_id, event.ended.tracking_id) is not None:
        return Changes(as_it_is_now(view, own) if own is not None else event.ended)
    return _over(view, own, event.ended)


def cancel(view: View, event: Cancel) -> Changes[bool]:
    """Cancel a call whose request has not left. If it has left, no other one is sent."""
    own = view.record(event.tracking_id)
    if own is None or own.state not in FROM[Cancel]:
        return Changes(False)
    if own.state in WAITING:
        return ended(view, lists.canceled(view, own)).answering(True)
    last = replace(own.schedule, attempts=own.schedule.attempt)
    if last.place_by is not None:
        last = replace(last, place_by=view.now)  # it is not put off
    return Changes(False, save=(replace(own, schedule=last),))


def release(view: View, event: Release) -> Changes[None]:
    """End a record whose reservation was not confirmed; its list stops."""
    own = view.record(event.tracking_id)
    if own is None or own.state not in FROM[Release]:
        return Changes(None)
    words = "The ledger did not confirm the reservation, so nothing was sent."
    return ended(view, not_placed(view, own, KallyAIError(words, code="not_sent"))).answering(None)


def transcript_read(view: View, event: TranscriptRead) -> Changes[None]:
    """Note what a transcript shows, unless one of this call was read before."""
    own = view.bound_to(event.call_id, other_than=_NO_RECORD)
    if own is None:
        return _noted(view, event.opt_out)
    if own.has_transcript or own.state is not CallState.ENDED:
        return Changes(None)
    spoken = replace(own, spoken=event.spoken)
    noted = _noted(view, opt_out_of(spoken, view.now))
    return noted.then(Changes(None, save=(spoken,)))


def remove_opt_out(view: View, event: RemoveOptOut) -> Changes[OptOut | None]:
    """Let a number be called again; the answer is the opt-out that it had."""
    known = view.opt_out(event.number)
    return Changes(known, lifted=() if known is None else (known,))


def offset_at(service_time: ServiceTime, now: float) -> float | None:
    """How far the service's clock is ahead of the ledger's, in seconds; None when it is not known.

    `now` is the time by the ledger's clock, in seconds since the epoch.
    """
    known = service_time()
    return known.timestamp() - now if known is not None else None


def _same_attempt(view: View, record: CallRecord) -> CallRecord | None:
    """The ledger's record for this attempt; None if it is gone, or has gone on to another one.

    A worker that was suspended may write about an earlier attempt.
    """
    own = view.record(record.tracking_id)
    if own is None or own.idempotency_key != record.idempotency_key:
        return None
    return own


def _held(view: View, record: CallRecord, states: Collection[CallState]) -> CallRecord | None:
    """The ledger's record for this attempt, if it is this worker's, and in one of these states."""
    own = _same_attempt(view, record)
    if own is None or own.worker != record.worker or own.state not in states:
        return None
    return own


def _is_young(view: View, record: CallRecord) -> bool:
    """Whether a call was asked for so recently that its request may leave."""
    age = (view.now - record.asked_at).total_seconds()
    return -_SMALL_JUMP <= age <= view.timing.send_within


def _lost(view: View, known: CallRecord, event: Lost) -> CallRecord:
    """A record after the response to one of its requests was lost."""
    offset = known.clock_offset
    sent_at = event.record.sent_at
    if offset is None and event.since_sent is not None and sent_at is not None:
        offset = offset_at(event.service_time, sent_at.timestamp() + event.since_sent())
    lost_at = known.response_lost_at or view.now
    return replace(known, response_lost_at=lost_at, clock_offset=offset)


def _without_call(record: CallRecord) -> CallRecord:
    """A record that has lost the call that it had found: its outcome is unknown again."""
    return replace(
        record,
        state=CallState.UNKNOWN,
        call_id=None,
        call=None,
        calendar=None,
        reached=None,
        spoken=None,
        error=None,
        delivered_at=None,
    )


def _bound(own: CallRecord, event: Found, offset: float | None) -> Changes[CallRecord]:
    """The record with its call, which is in progress, or whose calendar file is read."""
    has_news = event.call.is_final and own.is_active
    call = event.call if has_news else own.call
    bound = replace(own, call_id=event.call.call_id, clock_offset=offset, call=call)
    return Changes(bound, save=(bound,))


def _over(view: View, own: CallRecord | None, end: CallRecord) -> Changes[CallRecord]:
    """The end of a record, whose state in the ledger is `own`, and what follows."""
    if own is None:
        return Changes(replace(end, ended_at=view.now))
    if not _is_of(own, end) or not may_end(own, end):
        return Changes(as_it_is_now(view, own))
    record = with_end(own, end, view.now)
    noted = _noted(view, opt_out_of(record, view.now))
    if own.is_active:
        return noted.then(ended(after_changes(view, noted), record))
    # Nothing follows an unknown outcome that is found out, because a client may have been told that
    # nothing does.
    saved = noted.then(Changes(record, save=(record,)))
    if not record.reached:
        return saved
    return saved.then(nothing_follows(after_changes(view, saved), record)).answering(record)


def _noted(view: View, found: OptOut | None) -> Changes[None]:
    """Keep an opt-out, unless the user has removed it, or one is known that counts for more."""
    if found is None:
        return Changes(None)
    if found.call_id is not None and view.was_lifted(found.call_id):
        return Changes(None)
    known = view.opt_out(found.number)
    if known is not None and not replaces(known, found):
        return Changes(None)
    return Changes(None, opt_outs=(found,))


def _is_of(own: CallRecord, end: CallRecord) -> bool:
    """Whether `end` is the end of the ledger's record, in the attempt that was placed."""
    return own.idempotency_key == end.idempotency_key and own.state in FROM[Over]


def _of(
    kind: type[E], decision: Callable[[View, E], Changes[Any]]
) -> tuple[type[Event[Any]], Callable[[View, Any], Changes[Any]]]:
    """A line of the table, in which a decision takes events of its kind."""
    return kind, decision


_DECISIONS = dict(
    [
        _of(Leave, leave),
        _of(Delayed, mark_delayed),
        _of(Lost, mark_lost),
        _of(Refuse, refuse),
        _of(Found, bind),
        _of(Over, end),
        _of(Cancel, cancel),
        _of(Release, release),
        _of(Due, due_calls.take),
        _of(Adopt, due_calls.adopt),
        _of(Late, expiring.expire_late),
        _of(Checked, requests.check),
        _of(Requested, requests.request),
        _of(ListRequested, list_requests.request_list),
        _of(CancelList, list_requests.cancel_list),
        _of(TranscriptRead, transcript_read),
        _of(RemoveOptOut, remove_opt_out),
    ]
)
"""What decides about each kind of event."""
