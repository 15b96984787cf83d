"""Finds the days and the times of day that a text names, in English and Spanish."""

import re
from datetime import date, time, timedelta
from typing import Final

_WEEKDAYS: Final = (
    ("monday", "lunes"), ("tuesday", "martes"), ("wednesday", "miércoles"), ("thursday", "jueves"),
    ("friday", "viernes"), ("saturday", "sábado"), ("sunday", "domingo"),
)  # fmt: skip
_MONTHS: Final = (
    ("january", "enero"), ("february", "febrero"), ("march", "marzo"), ("april", "abril"), ("may", "mayo"),
    ("june", "junio"), ("july", "julio"), ("august", "agosto"), ("september", "septiembre"), ("october", "octubre"),
    ("november", "noviembre"), ("december", "diciembre"),
)  # fmt: skip


def _any_of(names: tuple[tuple[str, str], ...]) -> str:
    return "|".join(name for pair in names for name in pair)


DAY: Final = (
    rf"(?:(?P<weekday>{_any_of(_WEEKDAYS)})|(?P<today>today|tonight|hoy|esta noche)"
    rf"|(?P<tomorrow>tomorrow|(?<!\bla )mañana)|(?P<month>{_any_of(_MONTHS)}) (?P<day>\d{{1,2}})(?:st|nd|rd|th)?"
    rf"|(?P<day_es>\d{{1,2}}) de (?P<month_es>{_any_of(_MONTHS)}))\b"
)
"""A day in words."""

_TIME: Final = (
    r"\s+(?:las?\s+)?(?P<hour>\d{1,2})(?:[:.h](?P<minute>\d{2}))?"
    r"\s*(?P<half>[ap]\.?m\b|de la (?:ma[nñ]ana|tarde|noche))?"
)
_AFTER: Final = re.compile(
    r"\b(?:(?P<before>before|by|until|antes de|hasta)|after|from|around|about|at"
    rf"|despu[eé]s de|a partir de|desde|sobre|hacia|a){_TIME}",
    re.IGNORECASE,
)
_AT: Final = re.compile(rf"\b(?P<before>(?!))?(?:at|a){_TIME}", re.IGNORECASE)
_TO: Final = re.compile(
    rf"\b(?P<before>(?!))?(?:to|at|a|para){_TIME}(?!\d|\s*(?:people|personas|guests))", re.IGNORECASE
)
_ANY_DAY: Final = re.compile(rf"\b{DAY}", re.IGNORECASE)
_TO_DAY: Final = re.compile(
    rf"\b(?:to|al|a|para|para el|till|until)\s+(?:any time on |some time on )?(?:next |this |pr[oó]ximo )?{DAY}",
    re.IGNORECASE,
)
_EVENING: Final = re.compile(r"\b(?:tonight|evening|dinner|esta noche|cena\w*)\b", re.IGNORECASE)
_PARTS_OF_DAY: Final = (
    (re.compile(r"\b(?:morning|por la ma[nñ]ana|breakfast|desayun\w+)\b", re.IGNORECASE), time(10, 0)),
    (re.compile(r"\b(?:noon|midday)\b", re.IGNORECASE), time(12, 0)),
    (re.compile(r"\b(?:lunch\w*|mediod[ií]a|comer|comida|almuerzo)\b", re.IGNORECASE), time(13, 30)),
    (re.compile(r"\b(?:afternoon|tarde)\b", re.IGNORECASE), time(16, 30)),
    (re.compile(r"\b(?:evening|dinner|tonight|night|noche|cena\w*)\b", re.IGNORECASE), time(20, 0)),
)


def preferred_time(text: str | None) -> time | None:
    """Return the time of day for texts like "morning", "after 5pm", or "a partir de las 17"; None for other texts."""
    if text is None:
        return None
    if (match := _AFTER.search(text)) and (at := _hour_and_minute(match)):
        return at
    return next((at for pattern, at in _PARTS_OF_DAY if pattern.search(text)), None)


def day_and_time(text: str, today: date) -> tuple[date | None, time | None]:
    """Return the day and the time that a text names, such as "a table on Friday at 7 PM".

    Args:
        text: The text.
        today: The user's day.
    """
    return _first_day(_ANY_DAY, text, today), _last_time(_AT, text)


def new_day_and_time(text: str, today: date) -> tuple[date | None, time | None]:
    """Return the new day and time of something that a text moves, such as "Move it from Friday to Saturday".

    Args:
        text: The text.
        today: The user's day.
    """
    return _first_day(_TO_DAY, text, today), _last_time(_TO, text)


def names_next_week(text: str) -> bool:
    """Whether a text says "next week"."""
    return _NEXT_WEEK.search(text) is not None


_NEXT_WEEK: Final = re.compile(r"\b(?:next week|pr[oó]xima semana|semana que viene)\b", re.IGNORECASE)


def delay_in(text: str) -> timedelta | None:
    """Return by how many days a text moves something, such as "by one week" or "dos días antes"; None if it does not.

    It is negative for an earlier day.
    """
    for match in _DAYS.finditer(text):
        if match["by"] or match["side"] or _DELAYS_ES.search(text):
            count = match["count"].lower()
            number = int(count) if count.isdecimal() else _COUNTS[count]
            days = number * (7 if match["unit"].lower().startswith(("week", "semana")) else 1)
            return timedelta(days=-days if _EARLIER.search(text) else days)
    return None


_COUNTS: Final = {
    word: number
    for number, words in enumerate(("a one un una", "two dos", "three tres", "four cuatro", "five cinco"), 1)
    for word in words.split()
}
_DAYS: Final = re.compile(
    rf"\b(?P<by>by )?(?P<count>\d{{1,2}}|{'|'.join(_COUNTS)}) (?P<unit>days?|weeks?|d[ií]as?|semanas?)\b"
    r"(?P<side> (?:later|after|earlier|sooner|m[aá]s tarde|despu[eé]s|antes)\b)?",
    re.IGNORECASE,
)
_DELAYS_ES: Final = re.compile(r"\b(?:apla[zc]|posp[ou]n|retras|adelant)\w+", re.IGNORECASE)
_EARLIER: Final = re.compile(r"\b(?:earlier|sooner|forward|antes|adelant\w+)\b", re.IGNORECASE)


def _first_day(pattern: re.Pattern[str], text: str, today: date) -> date | None:
    return next((day for match in pattern.finditer(text) if (day := _day_of(match, today)) is not None), None)


def _last_time(pattern: re.Pattern[str], text: str) -> time | None:
    times = [at for match in pattern.finditer(text) if (at := _hour_and_minute(match)) is not None]
    return times[-1] if times else None


def _day_of(match: re.Match[str], today: date) -> date | None:
    if match["weekday"]:
        return today + timedelta(days=(_index(_WEEKDAYS, match["weekday"]) - today.weekday() - 1) % 7 + 1)
    if match["today"] or match["tomorrow"]:
        return today + timedelta(days=1 if match["tomorrow"] else 0)
    month, day = _index(_MONTHS, match["month"] or match["month_es"]) + 1, int(match["day"] or match["day_es"])
    try:
        found = today.replace(month=month, day=day)
        return found if found >= today else found.replace(year=today.year + 1)
    except ValueError:  # there is no such day, or not in that year
        return None


def _index(names: tuple[tuple[str, str], ...], name: str) -> int:
    return next(index for index, pair in enumerate(names) if name.lower() in pair)


def _hour_and_minute(match: re.Match[str]) -> time | None:
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    half = (match["half"] or "").lower()
    if half.startswith("p") or half.endswith(("tarde", "noche")):
        hour += 12 if hour < 12 else 0
    elif not half and (1 <= hour <= 7 or (hour < 12 and _EVENING.search(match.string))):
        hour += 12  # without "am", a time from 1 to 7 for a business means the afternoon
    if match["before"]:
        hour -= 1
    return time(hour, minute) if 0 <= hour < 24 and minute < 60 else None
