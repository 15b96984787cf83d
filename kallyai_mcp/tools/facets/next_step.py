"""The facet of a call that has an outcome which says what may follow it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.schedule import is_past_appointment, next_attempt
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.text.plain import zone_of

_UP_TO_A_MINUTE = timedelta(seconds=59)
"""A time is shown in whole minutes, and must not be earlier then."""

_WITH_RECORDING = ("voicemail", "success")
"""The statuses of calls in which only a recording may have spoken."""


@dataclass(frozen=True)
class Retry:
    """The call that may be placed after one that reached nobody.

    Attributes:
        planned: The next attempt, if it is scheduled already; then the agent must not place one.
        not_before: The earliest time, in the zone of the submission; None if it can't be scheduled.
        is_after_voicemail: Whether a voicemail answered, on which a message may have been left.
        is_after_message: Whether KallyAI reports what it left on the voicemail.
    """

    planned: CallView | None = None
    not_before: datetime | None = None
    is_after_voicemail: bool = False
    is_after_message: bool = False


@dataclass(frozen=True)
class NextStep:
    """What may follow a call.

    Attributes:
        retry: The same call again; None if somebody may have been reached.
        tools: The names of those that tell more about it.
        may_change_booking: Whether it has a booking that no later call was about.
    """

    retry: Retry | None
    tools: tuple[str, ...]
    may_change_booking: bool


def next_step(view: CallView, call: Call, now: datetime, *, schedules: bool) -> NextStep:
    """What may follow a call, which has an outcome; `schedules`: calls for later can be placed."""
    is_booked = view.booking.appointment is not None
    tools = ["get_calendar_event"] if is_booked else []
    if _may_have_words(view, call):
        tools.append("get_transcript")
    return NextStep(
        _retry(view, call, now, schedules=schedules),
        tuple(tools),
        may_change_booking=is_booked and view.related.later is None,
    )


def may_be_retried(view: CallView) -> bool:
    """Whether it is certain that nobody was reached, so that the same call may be placed again."""
    return view.reached is False and view.outcome in (Outcome.NOT_REACHED, Outcome.FAILED)


def _may_have_words(view: CallView, call: Call) -> bool:
    """Whether the transcript may have words of a person or of a recording."""
    if view.outcome is Outcome.NOT_REACHED and call.plain_status not in _WITH_RECORDING:
        return False
    return view.speech.has_transcript


def _retry(view: CallView, call: Call, now: datetime, *, schedules: bool) -> Retry | None:
    if view.outcome is not Outcome.NOT_REACHED or not may_be_retried(view):
        return None
    if view.reached_machine:  # it would answer again
        return None
    if view.related.planned is not None:
        return Retry(planned=view.related.planned)
    is_after_voicemail = call.plain_status == "voicemail"
    return Retry(
        not_before=_retry_time(view, now) if schedules else None,
        is_after_voicemail=is_after_voicemail,
        is_after_message=is_after_voicemail and bool(call.highlights),
    )


def _retry_time(view: CallView, now: datetime) -> datetime | None:
    """The next time in the callee's day; None without a number, or after the appointment."""
    asked = view.submission
    if not asked.respondent_phone:
        return None
    due = next_attempt(now, asked.respondent_phone, view.zone_name) + _UP_TO_A_MINUTE
    if isinstance(asked, Submission) and is_past_appointment(asked, due, view.zone_name):
        return None
    return due.astimezone(zone_of(view.zone_name))
