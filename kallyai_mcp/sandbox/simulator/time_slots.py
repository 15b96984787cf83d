"""Appointment times: what the callee proposes if the request has no time, or offers if the time is not available."""

import re
from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple

from kallyai_mcp.sandbox.simulator.request import Request
from kallyai_mcp.sandbox.simulator.submission import TaskCategory

_USUAL: Final = {
    TaskCategory.RESTAURANT: time(20, 0),
    TaskCategory.CLINIC: time(9, 40),
    TaskCategory.GENERAL: time(11, 0),
}
_TIME: Final = (
    r"\s+(?:las?\s+)?(?P<hour>\d{1,2})(?:[:.h](?P<minute>\d{2}))?"
    r"\s*(?P<half>[ap]\.?m\b|de la (?:ma[nñ]ana|tarde|noche))?"
)
_AFTER: Final = re.compile(
    r"\b(?:(?P<before>before|by|until|antes de|hasta)|after|from|around|about|at"
    rf"|despu[eé]s de|a partir de|desde|sobre|hacia|a){_TIME}",
    re.IGNORECASE,
)
_TO: Final = re.compile(
    rf"\b(?P<before>(?!))?(?:to|at|a|para){_TIME}(?!\d|\s*(?:people|personas|guests))", re.IGNORECASE
)
_WEEKDAYS: Final = tuple(
    re.compile(rf"\b(?:to|al|para el|till|until)\s+(?:next |this |pr[oó]ximo )?(?:{names})\b", re.IGNORECASE)
    for names in ("monday|lunes", "tuesday|martes", "wednesday|miércoles", "thursday|jueves", "friday|viernes",
                  "saturday|sábado", "sunday|domingo")
)  # fmt: skip
_PARTS_OF_DAY: Final = (
    (re.compile(r"\b(?:morning|por la ma[nñ]ana|breakfast|desayun\w+)\b", re.IGNORECASE), time(10, 0)),
    (re.compile(r"\b(?:noon|lunch\w*|midday|mediod[ií]a|comer|comida|almuerzo)\b", re.IGNORECASE), time(13, 30)),
    (re.compile(r"\b(?:afternoon|tarde)\b", re.IGNORECASE), time(16, 30)),
    (re.compile(r"\b(?:evening|dinner|tonight|night|noche|cena\w*)\b", re.IGNORECASE), time(20, 0)),
)
_HALF_HOUR: Final = timedelta(minutes=30)


class Slot(NamedTuple):
    """A day and a time; the time is None for a room, which is booked by days."""

    day: date
    at: time | None


def proposed(request: Request, day: date, now: datetime) -> Slot:
    """Return the callee's proposal for a request without a time: on `day`, or on the next day if it is too late.

    Args:
        request: The request; a `preference` that is understood decides the time.
        day: The requested day.
        now: The user's local time.
    """
    if request.category is TaskCategory.HOTEL:
        return Slot(day, None)
    at = preferred_time(request.preference) or _USUAL[request.category]
    if day > now.date():
        return Slot(day, at)
    earliest = _next_half_hour(now.replace(tzinfo=None) + timedelta(hours=1))
    if earliest.date() > day:
        return Slot(day + timedelta(days=1), at)
    return Slot(day, max(at, earliest.time()))


def alternative(request: Request, now: datetime) -> Slot:
    """Return the callee's offer instead of the requested time: an hour and a half later, else the next day.

    Args:
        request: The request.
        now: The user's local time.
    """
    if request.day is None:
        return proposed(request, now.date() + timedelta(days=1), now)
    if request.category is TaskCategory.HOTEL or request.at is None:
        return proposed(request, request.day + timedelta(days=1), now)
    later = datetime.combine(request.day, request.at) + 3 * _HALF_HOUR
    return Slot(later.date(), later.time()) if later.date() == request.day else Slot(later.date(), request.at)


def preferred_time(preference: str | None) -> time | None:
    """Return the time of day for texts like "morning", "after 5pm", or "a partir de las 17"; None for other texts."""
    if preference is None:
        return None
    if (match := _AFTER.search(preference)) and (at := _hour_and_minute(match)):
        return at
    return next((at for pattern, at in _PARTS_OF_DAY if pattern.search(preference)), None)


def new_slot(description: str, known: Slot, today: date) -> Slot | None:
    """Return the new time of a booking that a task changes, such as "Move it to Saturday"; None if it names none.

    Args:
        description: The task.
        known: The day and time of the booking.
        today: The user's day.
    """
    times = [at for match in _TO.finditer(description) if (at := _hour_and_minute(match)) is not None]
    days = [number for number, pattern in enumerate(_WEEKDAYS) if pattern.search(description)]
    if not times and not days:
        return None
    day = today + timedelta(days=(days[0] - today.weekday() - 1) % 7 + 1) if days else known.day
    return Slot(day, times[-1] if times else known.at)


def _hour_and_minute(match: re.Match[str]) -> time | None:
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    half = (match["half"] or "").lower()
    if half.startswith("p") or half.endswith(("tarde", "noche")):
        hour += 12 if hour < 12 else 0
    elif not half and 1 <= hour <= 7:
        hour += 12  # without "am", a time from 1 to 7 for a business means the afternoon
    if match["before"]:
        hour -= 1
    return time(hour, minute) if 0 <= hour < 24 and minute < 60 else None


def _next_half_hour(moment: datetime) -> datetime:
    past = timedelta(minutes=moment.minute % 30, seconds=moment.second, microseconds=moment.microsecond)
    return moment - past + (_HALF_HOUR if past else timedelta())
