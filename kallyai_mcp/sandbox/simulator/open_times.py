"""The times that a callee names: where a request leaves it open, or in place of its own."""

import re
from datetime import date, datetime, time, timedelta
from typing import Final

from kallyai_mcp.sandbox.simulator.request import Request
from kallyai_mcp.sandbox.simulator.simulated_call import Slot
from kallyai_mcp.sandbox.simulator.submission import TaskCategory

_USUAL: Final = {
    TaskCategory.RESTAURANT: time(20, 0),
    TaskCategory.CLINIC: time(9, 40),
    TaskCategory.GENERAL: time(11, 0),
}
_CLOCK: Final = re.compile(r"\b(\d{1,2})(?:[:.](\d\d))? ?(am|pm)?\b", re.IGNORECASE)
_PARTS_OF_DAY: Final = (
    (re.compile(r"\b(?:evening|night|noche)\b", re.IGNORECASE), time(20, 30)),
    (re.compile(r"\b(?:afternoon|tarde)\b", re.IGNORECASE), time(16, 0)),
    (re.compile(r"\b(?:morning|mañana)\b", re.IGNORECASE), time(10, 30)),
)


def usual(request: Request, day: date, now: datetime) -> Slot:
    """Return what the callee proposes for a day; the next day if it is too late on this one."""
    if request.is_stay:
        return Slot(day, None)
    at = request.at or _preferred(request.preference or "") or _USUAL[request.category]
    earliest = now.replace(tzinfo=None) + timedelta(hours=1)
    is_too_late = datetime.combine(day, at) < earliest
    return Slot(day + timedelta(days=1) if is_too_late else day, at)


def alternative(request: Request, now: datetime) -> Slot:
    """Return what the callee offers instead: an hour and a half later, else the next day."""
    if request.asked is None:
        return usual(request, now.date() + timedelta(days=1), now)
    day = request.asked.day
    at = request.time_at(request.asked)
    if at is None:
        return usual(request, day + timedelta(days=1), now)
    later = datetime.combine(day, at) + timedelta(minutes=90)
    return Slot(day, later.time()) if later.date() == day else Slot(later.date(), at)


def _preferred(preference: str) -> time | None:
    """The time that a preference names ("after 5pm", "morning"); None for other words."""
    return _clock_time(preference) or _part_of_day(preference)


def _clock_time(words: str) -> time | None:
    """The first number in some words as a time; None if no day has such a time."""
    found = _CLOCK.search(words)
    if found is None:
        return None
    hour, minute, half = found.groups("0")
    hours = int(hour)
    if half.lower() == "pm" and hours < 12:
        hours += 12
    try:
        return time(hours, int(minute))
    except ValueError:
        return None


def _part_of_day(words: str) -> time | None:
    for part, at in _PARTS_OF_DAY:
        if part.search(words):
            return at
    return None
