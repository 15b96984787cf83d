"""Formats of days and times: 12 hours, and the year only if it is not the present one."""

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime, time

from kallyai_mcp.calls.numbers import local_time
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.tools.text.plain import zone_of

HAS_24_HOURS: ContextVar[bool] = ContextVar("HAS_24_HOURS", default=False)
DAY_FIRST: ContextVar[bool] = ContextVar("DAY_FIRST", default=False)
"""What a terminal sets by the user's locale."""


@dataclass(frozen=True)
class Reader:
    """The user who gets a text, or whose agent does.

    `timezone` is an IANA name. If it is not known to be the user's, it may be that of a server, and every time is told
    with its place. If the request named it, times at the callee are told by it, too. `schedules`: calls for later can
    be placed. `search_seconds`: how long a lost call is searched for.
    """

    timezone: str
    now: datetime
    wait_seconds: float = 0
    zone_is_known: bool = True
    schedules: bool = True
    zone_is_named: bool = False
    search_seconds: float = Timing.search


def hour(at: datetime | time) -> str:
    """A time of day: "7:00 PM"."""
    if HAS_24_HOURS.get():
        return f"{at.hour}:{at.minute:02}"
    return f"{at.hour % 12 or 12}:{at.minute:02} {'PM' if at.hour >= 12 else 'AM'}"


def day(moment: date, now: datetime) -> str:
    """The day of `moment`: "Feb 1"."""
    year = str(moment.year) if moment.year != now.year else ""
    if DAY_FIRST.get():
        return f"{moment.day} {moment:%b} {year}".rstrip()
    return f"{moment:%b} {moment.day}{f', {year}' if year else ''}"


def when(moment: datetime, reader: Reader) -> str:
    """`moment` by the reader's clock: "Jan 25 10:30 AM"."""
    zone = zone_of(reader.timezone)
    local = moment.astimezone(zone)
    return f"{day(local, reader.now.astimezone(zone))} {hour(local)}"


def day_and_hour(start: date | datetime, now: datetime, *, in_row: bool = False) -> str:
    """A day with its time, if it has one: "Fri Nov 27, 7:00 PM", or `in_row` "Nov 27 7:00 PM"."""
    parts = [day(start, now) if in_row else f"{start:%a} {day(start, now)}"]
    parts += [hour(start)] if isinstance(start, datetime) else []
    return (" " if in_row else ", ").join(parts)


def city(zone_name: str) -> str:
    """The place in the name of a time zone: "New York"."""
    return zone_name.rpartition("/")[2].replace("_", " ")


def at_callee(moment: datetime, number: str | None) -> datetime:
    """`moment` by the clock of the callee, whose `number` is in E.164; unchanged if the number does not show it."""
    return (local_time(number, moment) if number is not None else None) or moment


def is_own_clock(moment: datetime, reader: Reader) -> bool:
    """Whether the reader's clock is known, and shows the same time."""
    own = moment.astimezone(zone_of(reader.timezone))
    return reader.zone_is_known and moment.replace(tzinfo=None) == own.replace(tzinfo=None)


def with_place(text: str, moment: date | datetime, number: str | None, zone_name: str, reader: Reader) -> str:
    """`text` about `moment`, with the place of its clock unless the reader's is known to show the same.

    The clock is that of the callee, whose `number` is in E.164; if it is not known, that of the zone (IANA name).
    """
    if not isinstance(moment, datetime) or is_own_clock(moment, reader):
        return text
    own = f" ({_own_time(moment, reader)} in {city(reader.timezone)})" if reader.zone_is_named else ""
    is_there = number is not None and local_time(number, moment) is not None
    return f"{text} {'there' if is_there else f'{city(zone_name)} time'}{own}"


def _own_time(there: datetime, reader: Reader) -> str:
    """`there` by the reader's clock; with the day, if the reader's day is another one."""
    own = there.astimezone(zone_of(reader.timezone))
    return hour(own) if own.date() == there.date() else day_and_hour(own, reader.now)
