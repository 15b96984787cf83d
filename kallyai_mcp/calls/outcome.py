"""What may be claimed about a phone call, by its final status, or by the error of the request to
place it.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from kallyai_mcp.api.errors import (
    KallyAIError,
    ResponseLostError,
    ServiceError,
    UnreadableResponseError,
)
from kallyai_mcp.api.models import Call, Submission, SubmissionEcho
from kallyai_mcp.calls.appointment import Calendar, is_as_asked, with_zone
from kallyai_mcp.calls.speech.agreed_time import AgreedTime, agreed_other_time
from kallyai_mcp.calls.speech.spoken import Spoken


class Outcome(StrEnum):
    """What may be claimed about a call that has ended."""

    BOOKED = "booked"  # KallyAI has a calendar event, as asked for and as it reports
    # It has one for another day or time than asked for, or than was agreed to in words.
    BOOKED_OTHER_TIME = "booked_other_time"
    ANSWERED = "answered"  # the conversation took place, and nothing shows a booking
    NOT_REACHED = "not_reached"  # nobody talked, or only a machine
    FAILED = "failed"  # the call was interrupted
    CANCELED = "canceled"
    UNKNOWN = "unknown"  # nothing is certain, or KallyAI contradicts itself


BOOKED = (Outcome.BOOKED, Outcome.BOOKED_OTHER_TIME)
"""The outcomes of a call for which KallyAI has a calendar event."""


class Findings(NamedTuple):
    """What KallyAI's calendar file and transcript say about a call that has ended.

    `calendar` is None when the calendar file does not count; `reached` says whether the call
    reached somebody, and is None when KallyAI could not be asked. `spoken` is None when the
    transcript could not be read.
    """

    calendar: Calendar | None
    reached: bool | None
    spoken: Spoken | None = None


_WITHOUT_SUCCESS: Mapping[str, Outcome] = {
    "no_answer": Outcome.NOT_REACHED,
    "busy": Outcome.NOT_REACHED,
    "voicemail": Outcome.NOT_REACHED,
    "failed": Outcome.FAILED,
    "terminated": Outcome.FAILED,
    "cancelled": Outcome.CANCELED,
    "canceled": Outcome.CANCELED,
}

NOBODY_REACHED = frozenset({"no_answer", "busy", "failed", "canceled", "cancelled", "voicemail"})
"""The statuses after which nobody was reached, unless KallyAI shows something else; see
`reached_somebody`.
"""

_CONVERSATION = 30.0
"""The fewest seconds in which a call can be answered and something be agreed in it."""

_PROOFS = frozenset({400, 401, 402, 403, 404, 405, 413, 415, 422, 429})
"""The HTTP statuses that prove that the service did not act on a request (rule 2 of placing a
call).
"""


def outcome_of(
    call: Call,
    calendar: Calendar | None,
    *,
    reached: bool | None,
    asked: Submission | SubmissionEcho,
    zone_name: str,
) -> Outcome | None:
    """The outcome of a call that was `asked` for, with times in a zone (IANA name); None while it
    is in progress.

    `reached` is what `Findings` say of it, None when they say nothing.
    """
    if not call.is_final:
        return None
    if call.plain_status != "success":
        return _outcome_without_success(call, reached=bool(reached))
    if calendar is None or calendar.appointment is None:
        return Outcome.NOT_REACHED if reached is False else Outcome.ANSWERED
    if not is_as_asked(calendar.appointment, asked, ZoneInfo(zone_name)):
        return Outcome.BOOKED_OTHER_TIME
    if other_time_of(call, calendar, asked=asked, zone_name=zone_name) is not None:
        return Outcome.BOOKED_OTHER_TIME
    return Outcome.BOOKED


def _outcome_without_success(call: Call, *, reached: bool) -> Outcome:
    found = _WITHOUT_SUCCESS.get(call.plain_status, Outcome.UNKNOWN)
    contradicts_itself = found is Outcome.NOT_REACHED and reached
    return Outcome.UNKNOWN if contradicts_itself else found


def other_time_of(
    call: Call | None,
    calendar: Calendar | None,
    *,
    asked: Submission | SubmissionEcho,
    zone_name: str,
) -> AgreedTime | None:
    """The time that was agreed to in words, if the calendar event has another one; None if they
    agree.

    If the transcript was not read, only KallyAI's report counts.
    """
    if call is None or calendar is None or calendar.appointment is None:
        return None
    if calendar.words is not None:
        return calendar.words.other_time
    start = with_zone(calendar.appointment.start, ZoneInfo(zone_name))
    number = asked.respondent_phone
    people = asked.party_size
    return agreed_other_time(call.highlights, None, start, number, people)


def reached_somebody(call: Call, *, callee_spoke: bool | None = None) -> bool:
    """Whether somebody may have talked to KallyAI in a call that has ended without an appointment.

    With an unknown status, yes. Words of the callee in the transcript prove it, except after
    `voicemail`, where they are those of the recording. An interrupted call without a transcript
    (`callee_spoke`: None) counts by its duration.
    """
    if call.plain_status not in NOBODY_REACHED:
        return True
    if call.plain_status == "voicemail":
        return False
    if callee_spoke is not None or _WITHOUT_SUCCESS[call.plain_status] is Outcome.NOT_REACHED:
        return bool(callee_spoke)
    if call.duration_seconds is None:
        return call.highlights is not None
    return call.duration_seconds >= _CONVERSATION


def proves_no_call(error: KallyAIError) -> bool:
    """Whether `error`, raised by `KallyAI.create_call`, proves that no call was placed.

    After any other error, a call may have been placed: 408, 409, 425, 499, a redirect, 5xx, and a
    broken or unreadable response. This includes a 503 that looks like a bot check, because the
    pages of outages have the same words.
    """
    if isinstance(error, ServiceError):
        return error.status in _PROOFS
    # Others are errors of this machine, before anything was sent.
    return not isinstance(error, ResponseLostError | UnreadableResponseError)
