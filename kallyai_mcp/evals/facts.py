"""The facts in a text: times, days, amounts of money, phone numbers, and other numbers, in English
and Spanish.

A fact may have several values, since "8:30" may be 08:30 or 20:30, and "3/4" may be March 4 or
April 3. It follows from another one that shares a value with it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product, starmap
from typing import Literal

Kind = Literal["time", "day", "weekday", "money", "phone", "number"]

TODAY = date(2026, 1, 26)
"""The day of the tasks; days that are named without a year are of its year."""

_THIS_YEAR = str(TODAY.year)

_SOON = timedelta(days=13)
"""A weekday may be meant for any such day from today until then: "Friday", "Friday next week"."""

_MONTHS = {
    **dict.fromkeys(("january", "jan", "enero", "ene"), 1),
    **dict.fromkeys(("february", "feb", "febrero"), 2),
    **dict.fromkeys(("march", "mar", "marzo"), 3),
    **dict.fromkeys(("april", "apr", "abril", "abr"), 4),
    **dict.fromkeys(("may", "mayo"), 5),
    **dict.fromkeys(("june", "jun", "junio"), 6),
    **dict.fromkeys(("july", "jul", "julio"), 7),
    **dict.fromkeys(("august", "aug", "agosto", "ago"), 8),
    **dict.fromkeys(("september", "sept", "sep", "septiembre"), 9),
    **dict.fromkeys(("october", "oct", "octubre"), 10),
    **dict.fromkeys(("november", "nov", "noviembre"), 11),
    **dict.fromkeys(("december", "dec", "diciembre", "dic"), 12),
}
_WEEKDAYS = {
    **dict.fromkeys(("monday", "mon", "lunes"), 0),
    **dict.fromkeys(("tuesday", "tue", "tues", "martes"), 1),
    **dict.fromkeys(("wednesday", "wed", "miércoles", "miercoles"), 2),
    **dict.fromkeys(("thursday", "thu", "thurs", "jueves"), 3),
    **dict.fromkeys(("friday", "fri", "viernes"), 4),
    **dict.fromkeys(("saturday", "sat", "sábado", "sabado"), 5),
    **dict.fromkeys(("sunday", "sun", "domingo"), 6),
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_WEEKDAY = "|".join(sorted(_WEEKDAYS, key=len, reverse=True))
_HALF = (
    r"[ap]\.?\s?m\b\.?|de la (?:ma[nñ]ana|tarde|noche)|in the "
    r"(?:morning|afternoon|evening)|at "
    r"night"
)


def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("iso day", _regex(r"\b(\d{4})-(\d\d)-(\d\d)(?:T|\b)")),
    (
        "phone",
        _regex(
            r"(?<![\w.])(?:\+\d[\d\s().-]{6,}\d|\(?\d{2,5}\)?(?:[-.\s]{1,2}\d{2,4}){2,4}\b)|(?<!\d)\d{9,12}(?!\d)"
        ),
    ),
    (
        "money",
        _regex(
            r"(?:US)?[$€£]\s?(\d[\d,]*(?:\.\d{1,2})?)"
            r"|\b(\d+(?:[.,]\d{1,2})?)\s?(?:€|(?:dollars|euros?|usd|eur|d[oó]lares)\b)"
        ),
    ),
    ("clock", _regex(rf"\b(\d{{1,2}})[:.h](\d\d)(?::00)?(?!\d|[.,]\d)(?:\s*({_HALF}))?")),
    (
        "month day",
        _regex(rf"\b({_MONTH})\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)(?:,?\s+(\d{{4}})\b)?"),
    ),
    (
        "day month",
        _regex(
            rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:de\s+|of\s+)?({_MONTH})\b(?:(?:,| de| "
            rf"del)?\s+(\d{{4}})\b)?"
        ),
    ),
    ("slashes", _regex(r"\b(?!24/7)(\d{1,2})/(\d{1,2})(?:/(\d{4}))?\b")),
    ("digits", _regex(rf"\b(\d{{1,2}})(\d\d)\s?({_HALF})")),
    ("hour", _regex(rf"\b(\d{{1,2}})\s*({_HALF}|o'clock|en punto)")),
    (
        "las",
        _regex(
            rf"\b(?:a|de|desde|hasta|sobre|y) las? (\d{{1,2}})( y media| y "
            rf"cuarto)?(?:\s+({_HALF}))?\b"
        ),
    ),
    ("noon", _regex(r"\b(noon|mediod[ií]a|midday)\b")),
    ("weekday", _regex(rf"\b({_WEEKDAY})s?\b")),
    ("number", _regex(r"(?<![\w-])(?:[A-Z]+-?)?\d[\d,]{2,}(?![\w%-])")),
    (
        "relative",
        _regex(
            r"\b(?:(today|tonight|this (?:morning|afternoon|evening)|hoy|esta "
            r"(?:mañana|tarde|noche))"
            r"|(tomorrow|(?<!la )(?<!esta )mañana))\b"
        ),
    ),
)
"""What is looked for, in this order; a fact is not looked for again within the words of one that
was found.
"""


@dataclass(frozen=True)
class Fact:
    """A fact that a text states in these `words`.

    Its `values` are what it may mean: HH:MM, YYYY-MM-DD, the number of a weekday (0 is Monday), an
    amount, or digits.
    """

    kind: Kind
    values: frozenset[str]
    words: str

    def follows_from(self, source: "Fact") -> bool:
        """Whether `source` says the same, or one of them is a weekday and the other may be a day on
        it.
        """
        match (self.kind, source.kind):
            case ("weekday", "day"):
                return bool(self.values & source.weekdays)
            case ("day", "weekday"):
                return bool(self.soon_weekdays & source.values)
            case ("phone", "phone"):
                return any(starmap(_is_same_number, product(self.values, source.values)))
            case _:
                return self.kind == source.kind and bool(self.values & source.values)

    @property
    def weekdays(self) -> frozenset[str]:
        """The weekdays of the days that it may mean."""
        return frozenset(map(_weekday, self._days))

    @property
    def soon_weekdays(self) -> frozenset[str]:
        """The weekdays of those that are near enough to be meant by a weekday."""
        return frozenset(map(_weekday, filter(_is_soon, self._days)))

    @property
    def _days(self) -> Iterator[date]:
        return map(date.fromisoformat, self.values)


def _is_same_number(one: str, other: str) -> bool:
    """Whether they are the same digits, or one is the other with its country code."""
    shorter, longer = sorted((one, other), key=len)
    return longer.endswith(shorter)


def _weekday(day: date) -> str:
    return str(day.weekday())


def _is_soon(day: date) -> bool:
    return TODAY <= day <= TODAY + _SOON


def facts_in(text: str, *, relative: bool = False) -> list[Fact]:
    """The facts that a text states, each once.

    With `relative`, words such as "tomorrow" are days, too.
    """
    found: dict[tuple[Kind, frozenset[str]], Fact] = {}
    rest = text.replace("\u202f", " ").replace("\xa0", " ").replace("\u2019", "'")
    for name, pattern in _PATTERNS:
        if name == "relative" and not relative:
            continue

        def take(match: re.Match[str], name: str = name) -> str:
            fact = _fact(name, match)
            if fact is None:
                return match[0]
            found.setdefault((fact.kind, fact.values), fact)
            return " ; "

        rest = pattern.sub(take, rest)
    return list(found.values())


def unsupported(text: str, sources: Iterable[str]) -> list[Fact]:
    """Return the facts of a text that no source states."""
    known = [fact for source in sources for fact in facts_in(source, relative=True)]

    def is_supported(fact: Fact) -> bool:
        return any(fact.follows_from(other) for other in known)

    return [fact for fact in facts_in(text) if not is_supported(fact)]


def _fact(name: str, match: re.Match[str]) -> Fact | None:
    """The fact in these words; None if they are none, such as a year."""
    kind, read = _READERS[name]
    values = frozenset(read(match))
    return Fact(kind, values, " ".join(match[0].split())) if values else None


def _iso_day(match: re.Match[str]) -> set[str]:
    return _days((match[1], match[2], match[3]))


def _month_day(match: re.Match[str]) -> set[str]:
    month, day, year = match.groups(_THIS_YEAR)
    return _days((year, _MONTHS[month.lower()], day))


def _day_month(match: re.Match[str]) -> set[str]:
    day, month, year = match.groups(_THIS_YEAR)
    return _days((year, _MONTHS[month.lower()], day))


def _slashes(match: re.Match[str]) -> set[str]:
    one, other, year = match.groups(_THIS_YEAR)
    return _days((year, one, other), (year, other, one))


def _relative(match: re.Match[str]) -> set[str]:
    is_today = match[1] is not None
    return {str(TODAY if is_today else TODAY + timedelta(days=1))}


def _clock(match: re.Match[str]) -> set[str]:
    hour, minute, half = match.groups("")
    return _times(hour, minute, half)


def _hour(match: re.Match[str]) -> set[str]:
    hour, half = match.groups("")
    return _times(hour, "00", half)


def _las(match: re.Match[str]) -> set[str]:
    hour, fraction, half = match.groups("")
    minute = _MINUTES.get(fraction.strip().lower(), "00")
    return _times(hour, minute, half)


def _noon(_: re.Match[str]) -> set[str]:
    return {"12:00"}


def _named_weekday(match: re.Match[str]) -> set[str]:
    if match[1] in _ORDINARY_WORDS:
        return set()
    return {str(_WEEKDAYS[match[1].lower()])}


def _money(match: re.Match[str]) -> set[str]:
    after_sign, before_sign = match.groups()
    if after_sign is not None:
        return {f"{float(after_sign.replace(',', '')):.2f}"}  # $1,000
    return {f"{float(before_sign.replace(',', '.')):.2f}"}  # 12,50 €


def _phone(match: re.Match[str]) -> set[str]:
    digits = re.sub(r"\D", "", match[0]).lstrip("0")
    return {digits} if len(digits) >= _FEWEST_DIGITS else set()


def _number(match: re.Match[str]) -> set[str]:
    is_year = re.fullmatch(r"20[2-3]\d", match[0]) is not None
    return set() if is_year else {match[0].replace(",", "").lower()}


_MINUTES = {"y media": "30", "y cuarto": "15"}
_ORDINARY_WORDS = {"mon", "sun", "sat", "wed"}
_FEWEST_DIGITS = 9

_READERS: dict[str, tuple[Kind, Callable[[re.Match[str]], set[str]]]] = {
    "iso day": ("day", _iso_day),
    "month day": ("day", _month_day),
    "day month": ("day", _day_month),
    "slashes": ("day", _slashes),
    "relative": ("day", _relative),
    "clock": ("time", _clock),
    "digits": ("time", _clock),
    "hour": ("time", _hour),
    "las": ("time", _las),
    "noon": ("time", _noon),
    "weekday": ("weekday", _named_weekday),
    "money": ("money", _money),
    "phone": ("phone", _phone),
    "number": ("number", _number),
}
"""The kind of what a pattern finds, and its values; none if it is no fact after all."""


def _days(*readings: tuple[str, int | str, int | str]) -> set[str]:
    days = set()
    for year, month, day in readings:
        with suppress(ValueError):  # there is no such day
            days.add(date(int(year), int(month), int(day)).isoformat())
    return days


_LATE = ("tarde", "noche", "afternoon", "evening", "night")
_EARLY = ("mañana", "manana", "morning")


def _times(hour: str, minute: str, half: str) -> set[str]:
    """The times that these words may mean; `half` is empty if no half of the day is named."""
    number = int(hour)
    if number > 24 or int(minute) > 59:
        return set()
    hours = _hours(number % 24, re.sub(r"[\s.]", "", half.lower()))
    return {f"{each:02}:{minute}" for each in hours}


def _hours(number: int, half: str) -> set[int]:
    """The hours that a number may mean with what is said of the half of the day."""
    if number > 12:
        return {number}
    if half.startswith("p") or half.endswith(_LATE):
        return {number % 12 + 12}
    if half.startswith("am") or half.endswith(_EARLY):
        return {number % 12}
    return {number, (number + 12) % 24}
