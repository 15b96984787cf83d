"""The facet of a call that says what KallyAI's calendar file shows of a booking."""

import re
from dataclasses import dataclass, replace
from datetime import date, datetime

from kallyai_mcp.api.models import Call, Submission, SubmissionEcho
from kallyai_mcp.calls.appointment import Appointment, Calendar, with_zone
from kallyai_mcp.calls.outcome import other_time_of
from kallyai_mcp.calls.speech.agreed_time import AgreedTime
from kallyai_mcp.calls.speech.sentences import Words
from kallyai_mcp.tools.submissions import departure_in, other_times_text, spans_in
from kallyai_mcp.tools.text.plain import zone_of

Asked = Submission | SubmissionEcho
"""What KallyAI was asked to do: as it was sent, or as KallyAI repeats it."""


@dataclass(frozen=True)
class Booking:
    """What the calendar file of a call shows.

    Attributes:
        is_read: Whether a file was read, so that it is known whether something is booked.
        appointment: The event, with its times in the zone of the submission; None without one.
        departs_on: The last day of the appointment, if a day of departure was asked for.
        unconfirmed: The submission's fields whose values could be in the event, and are not.
        is_at_allowed_time: Whether the appointment is on the day that was asked for, at one of the
            other times that the user allowed.
        agreed: The time that was agreed to in words, if the event has another one.
        canceled: The callee's words that say that the booking is canceled which the call was to
            cancel.
    """

    is_read: bool = False
    appointment: Appointment | None = None
    departs_on: date | None = None
    unconfirmed: tuple[str, ...] = ()
    is_at_allowed_time: bool = False
    agreed: AgreedTime | None = None
    canceled: Words | None = None

    @property
    def event(self) -> Appointment:
        """The appointment; without one, an empty one."""
        return self.appointment or Appointment()


NOT_READ = Booking()
"""What is known of a call whose calendar file was not asked for."""


def booking_of(
    asked: Asked,
    call: Call | None,
    calendar: Calendar | None,
    zone_name: str,
) -> Booking:
    """What `calendar` shows of a call; None if no calendar file was asked for.

    `zone_name` is the IANA name of the zone of the submission's day and time.
    """
    if calendar is None:
        return NOT_READ
    event = calendar.appointment
    if event is None:
        return Booking(calendar.is_known, canceled=calendar.canceled)
    zone = zone_of(zone_name)
    made = replace(event, start=with_zone(event.start, zone), end=with_zone(event.end, zone))
    return Booking(
        calendar.is_known,
        made,
        _departs_on(made, asked),
        _unconfirmed(made, asked),
        _is_at_allowed_time(made, asked),
        other_time_of(call, calendar, asked=asked, zone_name=zone_name),
    )


def day_asked(asked: Asked) -> str | None:
    """The submission's day: YYYY-MM-DD, or in the form in which KallyAI repeats it."""
    day = asked.appointment_date
    return None if day is None else str(day)[:10]


def _departs_on(made: Appointment, asked: Asked) -> date | None:
    if departure_in(asked) is None:
        return None
    return made.end.date() if isinstance(made.end, datetime) else made.end


def _unconfirmed(made: Appointment, asked: Asked) -> tuple[str, ...]:
    is_shown = {
        "appointment_time": asked.appointment_time is None or _has_time(made),
        "party_size": asked.party_size is None or _names_number(made, asked.party_size),
        "departure_date": departure_in(asked) == _departs_on(made, asked),
    }
    return tuple(name for name, shown in is_shown.items() if not shown)


def _has_time(made: Appointment) -> bool:
    return isinstance(made.start, datetime)


def _names_number(made: Appointment, number: int) -> bool:
    """Whether the title has this number, other than as a part of a time or a date."""
    found = rf"(?<![\d:.,/-]){number}(?![\d:/-]|[.,]\d|\s*[ap]\.?\s?m\b)"
    return re.search(found, made.summary or "", re.IGNORECASE) is not None


def _is_at_allowed_time(made: Appointment, asked: Asked) -> bool:
    start = made.start
    if not isinstance(start, datetime):
        return False
    if day_asked(asked) not in (None, start.date().isoformat()):
        return False
    spans = spans_in(other_times_text(asked))
    return any(first <= start.time() <= last for first, last in spans)
