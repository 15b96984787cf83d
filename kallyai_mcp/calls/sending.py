"""What follows each request for a call, and each look for it: rules 2 to 4 of placing a call.

`next_step` is the whole of it, without a database and a clock. `AWAITED` says which results may
come in which phase. `run.Run` does what a step says, and measures the seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from kallyai_mcp.api.errors import (
    KallyAIError,
    NotConnectedError,
    RateLimitedError,
    ResponseLostError,
    needs_sign_in,
)
from kallyai_mcp.calls.outcome import proves_no_call
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.calls.steps import (
    Bound,
    Ended,
    Failed,
    LookFirst,
    Phase,
    Refused,
    Result,
    Running,
    SearchUntil,
    Send,
    Sending,
    Step,
    Uncertain,
    Unknown,
    Unlisted,
    Unread,
    Wait,
    Waited,
)
from kallyai_mcp.calls.timing import Timing

_LISTED_BEFORE = 3.0
"""The most seconds from the look into the service's list to the request that relies on it."""

_REQUEST: frozenset[type[Result]] = frozenset({Ended, Running, Failed})
_LOOK: frozenset[type[Result]] = frozenset({Ended, Running, Unlisted, Uncertain, Unread})
_WAIT: frozenset[type[Result]] = frozenset({Waited})

AWAITED: Mapping[Phase, frozenset[type[Result]]] = {
    Phase.UNSENT: _WAIT | _REQUEST,
    Phase.PUT_OFF: _WAIT | _LOOK,
    Phase.LIMITED: _WAIT | _LOOK,
    Phase.LIMITED_AT_LAST: _LOOK,
    Phase.UNLISTED: _REQUEST,
    Phase.UNREACHED: _WAIT,
    Phase.LOST: _WAIT | _LOOK,
    Phase.LOST_AFTER_429: _WAIT | _LOOK,
    Phase.SENT_AGAIN: _REQUEST,
    Phase.SEARCHED: _LOOK,
    Phase.SEARCHED_AFTER_429: _LOOK,
    Phase.IN_PROGRESS: _LOOK,
}
"""The results that may come in each phase."""


def to_place(record: CallRecord, timing: Timing) -> Sending:
    """What is known before the first request of this attempt."""
    is_due = record.schedule.not_before is not None
    return Sending(
        Phase.UNSENT if record.response_lost_at is None else Phase.PUT_OFF,
        timing,
        RateLimitedError("KallyAI got too many requests."),  # as the earlier attempt was told
        is_due=is_due,
        may_wait=is_due and not record.is_of_list,
        pause=timing.pause,
    )


def taken_over(record: CallRecord, timing: Timing, now: datetime) -> Step:
    """What follows for a call that may have been placed, and whose worker has died."""
    lost = ResponseLostError("The server was stopped before the answer came.")
    state = replace(to_place(record, timing), error=lost)
    if record.call_id is not None:
        return _poll(state)
    age = (now - record.sent_or_asked_at).total_seconds()
    return _search(state, timing.search - max(age, 0.0))


def next_step(state: Sending, result: Result) -> Step:
    """What follows a result.

    Raises:
        ValueError: This result does not come in this phase.
    """
    if type(result) not in AWAITED[state.phase]:
        raise ValueError(f"{type(result).__name__} does not come in the phase {state.phase.name}")
    match result:
        case Ended():
            return Bound(result.call, result.is_written)
        case Running():
            return _in_progress(state, result)
        case Waited():
            return _after_wait(state)
        case Failed():
            return _after_request(state, result)
        case Unlisted() | Uncertain() | Unread():
            return _after_look(state, result)


def _after_wait(state: Sending) -> Step:
    match state.phase:
        case Phase.UNSENT:
            return Send(state)
        case Phase.UNREACHED:
            return _search_after_429(state)
        case _:
            return LookFirst(state)


def _after_request(state: Sending, failed: Failed) -> Step:
    # A refusal of the second request says nothing about the first one.
    if state.phase is Phase.SENT_AGAIN:
        return _search(state, state.timing.search)
    known = replace(state, error=failed.error)
    if not proves_no_call(failed.error) or is_late(failed.left, state.timing):
        return _lost(known)
    tried = replace(known, tries=state.tries + 1)
    match failed.error:
        case RateLimitedError():
            return _limited(tried)
        case NotConnectedError():
            return _unreached(tried)
        case _:
            return _refused(tried)


def is_late(left: float, timing: Timing) -> bool:
    """Whether a request left so many seconds ago that a refusal does not prove that no call was
    placed.
    """
    return left > timing.refuse_within


def _lost(state: Sending) -> Step:
    """After a lost response: look for the call, and send the request again if that is soon."""
    is_first = state.phase is Phase.UNSENT
    lost = replace(state, phase=Phase.LOST if is_first else Phase.LOST_AFTER_429)
    return Wait(lost, state.timing.first_look, may_be_placed=True)


def _limited(state: Sending) -> Step:
    """After 429: look for the call; when it is certain that the service does not list it, the key
    may be sent again.
    """
    if _is_last(state):
        last = replace(state, phase=Phase.LIMITED_AT_LAST)
        return LookFirst(last, may_be_placed=True)
    limited = replace(state, phase=Phase.LIMITED)
    return Wait(_with_next_pause(limited), _pause_asked(state), may_be_placed=True, is_put_off=True)


def _unreached(state: Sending) -> Step:
    """Without a connection, nothing was sent. After 429, an earlier request was."""
    if _is_last(state):
        return _refused(state)
    is_first = state.phase is Phase.UNSENT
    waiting = replace(state, phase=Phase.UNSENT if is_first else Phase.UNREACHED)
    return Wait(_with_next_pause(waiting), _pause_asked(state), is_put_off=True)


def _refused(state: Sending) -> Step:
    """After a proof that this request placed no call. After 429, an earlier one may have.

    A due call waits for its sign-in instead: before its next request, the list is looked through
    again.
    """
    waits_for_sign_in = state.may_wait and needs_sign_in(state.error)
    if state.phase is Phase.UNSENT or waits_for_sign_in:
        return Refused(state.error)
    return _search_after_429(state)


def _is_last(state: Sending) -> bool:
    """Whether no other request follows the refused one."""
    is_too_long = _pause_asked(state) > state.timing.longest_pause
    return state.tries >= state.most_tries or is_too_long


def _pause_asked(state: Sending) -> float:
    """The seconds until the next request, as the service asks for."""
    asked = state.error.retry_after
    return asked if asked is not None else state.pause


def _with_next_pause(state: Sending) -> Sending:
    """The state after a pause, which is twice as long the next time, where it is our own."""
    if state.error.retry_after is not None:
        return state
    return replace(state, pause=min(2 * state.pause, state.longest_pause))


def _after_look(state: Sending, look: Unlisted | Uncertain | Unread) -> Step:
    is_unlisted = isinstance(look, Unlisted)
    match state.phase:
        case Phase.PUT_OFF | Phase.LIMITED if is_unlisted:
            return Send(replace(state, phase=Phase.UNLISTED))
        case Phase.LIMITED_AT_LAST if is_unlisted:
            return Refused(state.error)
        case Phase.PUT_OFF if state.may_wait:  # nothing was sent since the list was looked through
            return Refused(state.error)
        case Phase.PUT_OFF | Phase.LIMITED | Phase.LIMITED_AT_LAST:
            return _search_after_429(state)
        case Phase.LOST if look.left < state.timing.resend_within:
            return Send(replace(state, phase=Phase.SENT_AGAIN))
        case Phase.LOST | Phase.LOST_AFTER_429:
            return _search(state, state.timing.search)
        case _:
            return _searched(state, look)


def _search(state: Sending, seconds: float) -> Step:
    pause = state.timing.first_look
    return _go_on(replace(state, phase=Phase.SEARCHED, search=seconds, pause=pause))


def _search_after_429(state: Sending) -> Step:
    # A listed call is unlikely, and many requests may be why the service refuses.
    phase = Phase.SEARCHED_AFTER_429
    pause = state.timing.longest_pause
    return _go_on(replace(state, phase=phase, search=state.timing.search, pause=pause))


def _poll(state: Sending) -> Step:
    return _go_on(
        replace(
            state,
            phase=Phase.IN_PROGRESS,
            error=ResponseLostError(
                "The call was placed, and KallyAI has not said yet how it ended."
            ),
            search=state.timing.poll_at_most,
            pause=state.timing.pause,
        )
    )


def _go_on(state: Sending) -> Step:
    """Look for the call after a pause, which is twice as long the next time."""
    following = replace(state, pause=min(2 * state.pause, state.longest_pause))
    return SearchUntil(following, min(state.pause, state.longest_pause))


def _in_progress(state: Sending, running: Running) -> Step:
    if state.phase is not Phase.IN_PROGRESS:
        return _poll(state)
    is_over = running.searched >= state.search
    return Unknown(state.error) if is_over else _go_on(state)


def _searched(state: Sending, look: Unlisted | Uncertain | Unread) -> Step:
    """Go on with a search, or end it. While it is not certain that the service does not list the
    call, it goes on for at least `Timing.search`.
    """
    is_unlisted = isinstance(look, Unlisted)
    most = state.search if is_unlisted else max(state.search, state.timing.search)
    if look.searched < most:
        return _go_on(state)
    if isinstance(look, Unread):
        return Unknown(look.error)
    if is_unlisted and state.phase is Phase.SEARCHED_AFTER_429:
        return Refused(state.error)
    return Unknown(state.error)


@dataclass(frozen=True)
class Ages:
    """The seconds since these moments; 0 since what has not happened.

    Attributes:
        asked: Since before the reservation.
        looked: Since the begin of the newest look into the service's list.
        sent_before: Since the request before this one left.
    """

    asked: float
    looked: float
    sent_before: float


def check_ages(state: Sending, record: CallRecord, ages: Ages) -> None:
    """Raise `KallyAIError` (code `too_late`) when it is too late for a request to leave."""
    within = state.timing.send_within
    place_by = record.schedule.place_by
    if place_by is not None:
        within = min(within, (place_by - record.asked_at).total_seconds())
    if ages.asked > within:
        raise KallyAIError(
            "The request could not leave in time, so it was not sent.", code="too_late"
        )
    if not _is_key_known(state, ages):
        raise KallyAIError("The same request may not be sent so much later.", code="too_late")


def _is_key_known(state: Sending, ages: Ages) -> bool:
    """Whether the service still knows the key of an earlier request that may have placed the call,
    or none did.
    """
    match state.phase:
        case Phase.UNLISTED:
            return ages.looked < _LISTED_BEFORE
        case Phase.SENT_AGAIN:
            return ages.sent_before < state.timing.resend_within
        case _:
            return True
