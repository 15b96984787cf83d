"""What the end of a call, or an error of a request for one, says about the phone call."""

from collections.abc import Mapping
from datetime import tzinfo
from enum import StrEnum
from types import MappingProxyType

from kallyai_mcp.api.errors import KallyAIError, ResponseLostError, ServiceError, UnreadableResponseError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.appointment import Calendar, is_as_asked


class Outcome(StrEnum):
    """What may be claimed of a call that has ended ("What an outcome may claim" of the design).

    `BOOKED`: KallyAI has a calendar event, as asked for. `BOOKED_OTHER_TIME`: it has one for another day or time.
    `ANSWERED`: the conversation took place, and nothing shows a booking. `NOT_REACHED`: nobody talked. `FAILED`: the
    call was interrupted. `CANCELED`: it was canceled. `UNKNOWN`: nothing is certain, or KallyAI contradicts itself.
    """

    BOOKED = "booked"
    BOOKED_OTHER_TIME = "booked_other_time"
    ANSWERED = "answered"
    NOT_REACHED = "not_reached"
    FAILED = "failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"


_WITHOUT_SUCCESS: Mapping[str, Outcome] = MappingProxyType(
    {
        "no_answer": Outcome.NOT_REACHED,
        "busy": Outcome.NOT_REACHED,
        "voicemail": Outcome.NOT_REACHED,
        "failed": Outcome.FAILED,
        "terminated": Outcome.FAILED,
        "cancelled": Outcome.CANCELED,
        "canceled": Outcome.CANCELED,
    }
)

NOBODY_REACHED = frozenset({"no_answer", "busy", "failed", "canceled", "cancelled", "voicemail"})
"""The statuses after which nobody was reached, unless KallyAI shows something else; see `reached_somebody`."""

_CONVERSATION = 30.0
"""How many seconds a call must last for something to be agreed in it, with the time until somebody answers."""

_PROOFS = frozenset({400, 401, 402, 403, 404, 405, 413, 415, 422, 429})
"""HTTP statuses that say that a service did not act on a request."""


def outcome_of(
    call: Call, calendar: Calendar | None, *, reached: bool, day: str | None, time: str | None, zone: tzinfo
) -> Outcome | None:
    """The outcome of `call`; None while it is in progress.

    The day (YYYY-MM-DD) and the time that were asked for are of `zone`; the calendar is None when it was not asked for;
    for `reached` see `reached_somebody`.
    """
    if not call.is_final:
        return None
    if call.plain_status != "success":
        found = _WITHOUT_SUCCESS.get(call.plain_status, Outcome.UNKNOWN)
        return Outcome.UNKNOWN if found is Outcome.NOT_REACHED and reached else found
    if calendar is None or calendar.appointment is None:
        return Outcome.ANSWERED
    as_asked = is_as_asked(calendar.appointment, day, time, zone)
    return Outcome.BOOKED if as_asked else Outcome.BOOKED_OTHER_TIME


def reached_somebody(call: Call, calendar: Calendar | None = None, *, callee_spoke: bool | None = None) -> bool:
    """Whether somebody may have talked to the caller; a status that we do not know counts as yes.

    A calendar event always shows that. So do words of the callee in the transcript (`callee_spoke`; None when there is
    none), but for a voicemail, which speaks itself. Without a transcript, a call that was interrupted must have been
    too short for a conversation.
    """
    if call.plain_status not in NOBODY_REACHED or (calendar is not None and calendar.appointment is not None):
        return True
    if call.plain_status == "voicemail":
        return False
    if callee_spoke is not None or _WITHOUT_SUCCESS[call.plain_status] is Outcome.NOT_REACHED:
        return bool(callee_spoke)
    return call.highlights is not None if call.duration_seconds is None else call.duration_seconds >= _CONVERSATION


def may_tell_more(call: Call) -> bool:
    """Whether the service may yet tell more of a call that has ended.

    A status that is not known may not be final, and the summary of a success may be written after the call.
    """
    return call.plain_status not in Call.FINAL or (call.plain_status == "success" and call.highlights is None)


def proves_no_call(error: KallyAIError) -> bool:
    """Whether `error`, raised by `KallyAI.create_call`, proves that no call was placed.

    Everything else (408, 409, 425, 499, a redirect, 5xx, a broken or unreadable response) may have placed it. So may a
    503 that looks like the page of a bot check: the pages of outages have the same words.
    """
    if isinstance(error, ResponseLostError | UnreadableResponseError):
        return False
    if not isinstance(error, ServiceError):
        return True  # an error of this machine before anything was sent
    return error.status in _PROOFS
