"""The appointment that a call made, read from KallyAI's calendar file ("Get Calendar Event" of the
reference).
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date, datetime, time, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from kallyai_mcp.api.errors import UnreadableResponseError
from kallyai_mcp.api.models import Submission, SubmissionEcho
from kallyai_mcp.calls.speech.agreed_time import AgreedTime
from kallyai_mcp.calls.speech.sentences import Words

_TIME = re.compile(
    r"([01]?\d|2[0-3]):([0-5]\d)(?::\d{2}(?:\.\d+)?)?\s*(?:([ap])\.?m\.?)?\s*(?:z|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)

_TEXT_LIMIT = 500
"""The most characters of a title or a location."""


@dataclass(frozen=True)
class Appointment:
    """The event of a calendar file, as KallyAI wrote it.

    A date without a time is a whole day; a time without a zone is in that of the request. `end` is
    None when the file has no end that can be read, or one that is not after the start.
    """

    summary: str | None = None
    start: date | datetime | None = None
    end: date | datetime | None = None
    location: str | None = None


@dataclass(frozen=True)
class Agreement:
    """What report and transcript of a call say together of the time of its appointment.

    `other_time` is the one that was agreed to in words, if it is not the appointment's.
    """

    other_time: AgreedTime | None = None


@dataclass(frozen=True)
class Calendar:
    """The result of asking KallyAI for the calendar file of a call.

    `is_known` is False when KallyAI did not answer in time, or its file can't be read. `words` is
    None if there is no appointment, or no transcript was read. `canceled` are the callee's words
    that say that the booking is canceled which the call was to cancel; None without them.
    """

    appointment: Appointment | None = None
    is_known: bool = True
    words: Agreement | None = None
    canceled: Words | None = None


def read_appointment(ics: str) -> Appointment | None:
    """The first event in a calendar file (RFC 5545) that is neither canceled nor tentative; None
    when there is none.

    Raises:
        UnreadableResponseError: The text is not a calendar file, or an event has no start that can
            be read. The code is `several_events` if events have different starts, so that any of
            them may be the appointment.
    """
    # Imported late: its import takes longer than that of all tools.
    from icalendar import Calendar as CalendarFile

    try:
        file = CalendarFile.from_ical(ics)
        events: list[Any] = [event for event in file.walk("VEVENT") if _is_agreed(file, event)]
        appointments = [_appointment(event) for event in events]
    except (
        ValueError,
        IndexError,
        OSError,
    ) as error:  # OSError: icalendar opens a file named like the TZID
        raise UnreadableResponseError(
            "the calendar file can't be read", code="unreadable_answer"
        ) from error
    if len({appointment.start for appointment in appointments}) > 1:
        raise UnreadableResponseError("the calendar file has several events", code="several_events")
    return appointments[0] if appointments else None


def with_zone(moment: date | datetime | None, zone: tzinfo) -> date | datetime | None:
    """`moment` in `zone`.

    A time without a zone is in that zone already; a whole day stays a date.
    """
    if not isinstance(moment, datetime):
        return moment
    return moment.astimezone(zone) if moment.tzinfo else moment.replace(tzinfo=zone)


def is_as_asked(appointment: Appointment, asked: Submission | SubmissionEcho, zone: tzinfo) -> bool:
    """Whether the appointment begins at the day and the time that were `asked` for, in `zone`, or
    at any.
    """
    start = with_zone(appointment.start, zone)
    if start is None:
        return True
    is_any_day = asked.appointment_date is None
    if not is_any_day and f"{start:%Y-%m-%d}" != str(asked.appointment_date)[:10]:
        return False
    asked_time = time_of_day(asked.appointment_time)
    if asked_time is None or not isinstance(start, datetime):
        return True
    return f"{asked_time:%H:%M}" == f"{start:%H:%M}"


def lies_before(appointment: Appointment, moment: datetime | None, zone_name: str) -> bool:
    """Whether the appointment is over before this moment (aware); False without one.

    A day, and a time without a zone, must be past in the zone of the request.
    """
    zone = ZoneInfo(zone_name)
    over = with_zone(appointment.end or appointment.start, zone)
    if over is None or moment is None:
        return False
    if isinstance(over, datetime):
        return over < moment
    today = moment.astimezone(zone).date()
    # The end of days is the day after them.
    return over <= today if appointment.end is not None else over < today


def time_of_day(text: str | None) -> time | None:
    """The hour and the minute in "19:00", "19:00:00", "19:00:00Z", or "7:00 PM"; None for any other
    text.
    """
    found = _TIME.fullmatch((text or "").strip())
    if found is None:
        return None
    hour = int(found[1])
    match (found[3] or "").lower():
        case "a":
            hour = hour % 12
        case "p":
            hour = hour % 12 + 12
    return time(hour, int(found[2]))


def _is_agreed(file: Any, event: Any) -> bool:
    """Whether an event is neither canceled nor tentative (RFC 5545, section 3.8.1.11)."""
    if _word(file, "METHOD") == "CANCEL":
        return False
    return _word(event, "STATUS") not in ("CANCELLED", "TENTATIVE")


def _word(component: Any, name: str) -> str:
    """The value of a property that is one of the words of RFC 5545, in capitals."""
    return str(component.get(name, "")).strip().upper()


def _appointment(event: Any) -> Appointment:
    start = _when(event.DTSTART)
    end = None
    # There is none, it can't be read, or it is of another type than the start.
    with suppress(TypeError, ValueError):
        read = _when(event.DTEND)
        end = read if read > start else None
    return Appointment(_text(event, "SUMMARY"), start, end, _text(event, "LOCATION"))


def _when(moment: date | None) -> date:
    """`moment`, if there is one that can be shown in every zone; else `ValueError`."""
    if moment is None or not MINYEAR < moment.year < MAXYEAR:
        raise ValueError("no moment that every zone can show")
    return moment


def _text(event: Any, name: str) -> str | None:
    """The first `_TEXT_LIMIT` characters of a text, or of the first of several."""
    found = event.get(name, "")
    return str(found[0] if isinstance(found, list) else found).strip()[:_TEXT_LIMIT] or None
