"""When a callee that is closed may be called again, by its own words."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from itertools import chain

from kallyai_mcp.calls.speech.sentences import plain_words_of
from kallyai_mcp.calls.speech.times_of_day import hours_in, times_in, weekdays_in

_USUAL = time(9)
"""When a callee is called again that has named no time."""

_FIRST = time(7)
_LAST = time(21)
"""Between these, a time is meant that may be read in two ways: "at nine" is in the morning."""

_TOMORROW = frozenset({"tomorrow", "manana"})

_DAY = timedelta(days=1)
_WEEK = 7


def named_opening(words: str, said_at: datetime) -> datetime:
    """When a callee may be called again that says in these `words` that it is closed, by its own
    clock, as `said_at` is.
    """
    named = [at for at in _times_named(words) if _FIRST <= at < _LAST]
    at = min(named, default=_USUAL)
    is_later_today = bool(named) and at > said_at.time()
    day = _day_named(words, said_at.date(), is_later_today=is_later_today)
    return datetime.combine(day, at, said_at.tzinfo)


def _times_named(words: str) -> Iterable[time]:
    """The times that words name, in both halves of the day where they don't say which."""
    whole = times_in(words)
    if whole:
        return chain.from_iterable(one.readings for one in whole)
    hours = hours_in(plain_words_of(words))
    return map(time, (*hours, *(hour % 12 + 12 for hour in hours)))


def _day_named(words: str, today: date, *, is_later_today: bool) -> date:
    """The day that words name; without one, today if the time is yet to come, else tomorrow."""
    days = {(weekday - today.weekday()) % _WEEK for weekday in weekdays_in(words)}
    if days:
        return today + _DAY * (min(days) or _WEEK)
    if is_later_today and _TOMORROW.isdisjoint(plain_words_of(words)):
        return today
    return today + _DAY
