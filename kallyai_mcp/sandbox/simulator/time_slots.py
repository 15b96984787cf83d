"""Appointment times: what the callee proposes if the request has no time, or offers if the time is not available."""

from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple

from kallyai_mcp.sandbox.simulator.request import Request
from kallyai_mcp.sandbox.simulator.submission import TaskCategory
from kallyai_mcp.sandbox.simulator.times_in_text import delay_in, preferred_time

_USUAL: Final = {
    TaskCategory.RESTAURANT: time(20, 0),
    TaskCategory.CLINIC: time(9, 40),
    TaskCategory.GENERAL: time(11, 0),
}
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
    at = request.at or preferred_time(request.preference) or preferred_time(request.description)
    at = at or _USUAL[request.category]
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


def moved(known: Slot, request: Request, now: datetime) -> Slot:
    """Return the day and time that the callee offers for a booking that has to be moved, if no new time is named.

    Args:
        known: The day and time of the booking.
        request: The request.
        now: The user's local time.
    """
    later = delay_in(request.description)
    tomorrow = now.date() + timedelta(days=1)
    day = max(known.day, now.date()) + timedelta(days=1) if later is None else max(known.day + later, tomorrow)
    return known._replace(day=day) if known.at is not None else proposed(request, day, now)


def _next_half_hour(moment: datetime) -> datetime:
    past = timedelta(minutes=moment.minute % 30, seconds=moment.second, microseconds=moment.microsecond)
    return moment - past + (_HALF_HOUR if past else timedelta())
