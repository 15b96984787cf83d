"""The facts in a text: times, days, amounts of money, phone numbers, and other numbers, in English
and Spanish.

A fact may have several values, since "8:30" may be 08:30 or 20:30, and "3/4" may be March 4 or
April 3. It follows from another one that shares a value with it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Kind = Literal["time", "day", "weekday", "money", "phone", "number"]

TODAY = date(2026, 1, 26)
"""The day of the tasks; days that are named without a year are of its year."""

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
        if self.kind == "weekday" and source.kind == "day":
            return any(
                str(date.fromisoformat(value).weekday()) in self.values for value in source.values
            )
        if self.kind == "day" and source.kind == "weekday":
            days = [date.fromisoformat(value) for value in self.values]
            return any(
                str(day.weekday()) in source.values and TODAY <= day <= TODAY + _SOON
                for day in days
            )
        if self.kind == source.kind == "phone":
            return any(
                one.endswith(two) or two.endswith(one)
                for one in self.values
                for two in source.values
            )
        return self.kind == source.kind and bool(self.values & source.values)


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
    return [fact for fact in facts_in(text) if not any(fact.follows_from(other) for other in known)]


def _fact(name: str, match: re.Match[str]) -> Fact | None:
    found = next(iter(_values(name, match)), None)
    if found is None or not found[1]:
        return None
    return Fact(found[0], frozenset(found[1]), " ".join(match[0].split()))


def _values(name: str, match: re.Match[str]) -> Iterator[tuple[Kind, set[str]]]:
    groups = match.groups()
    match name:
        case "iso day":
            yield "day", _days((groups[0], groups[1], groups[2]))
        case "month day":
            yield "day", _days((groups[2], _MONTHS[groups[0].lower()], groups[1]))
        case "day month":
            yield "day", _days((groups[2], _MONTHS[groups[1].lower()], groups[0]))
        case "slashes":
            yield "day", _days((groups[2], groups[0], groups[1]), (groups[2], groups[1], groups[0]))
        case "clock" | "digits":
            yield "time", _times(groups[0], groups[1], groups[2])
        case "relative":
            yield "day", {str(TODAY if groups[0] else TODAY + timedelta(days=1))}
        case "hour":
            yield "time", _times(groups[0], "00", groups[1])
        case "las":
            minute = {" y media": "30", " y cuarto": "15"}.get((groups[1] or "").lower(), "00")
            yield "time", _times(groups[0], minute, groups[2])
        case "noon":
            yield "time", {"12:00"}
        case "weekday":
            if match[1].islower() and match[1].lower() in {"mon", "sun", "sat", "wed"}:
                return  # ordinary words
            yield "weekday", {str(_WEEKDAYS[match[1].lower()])}
        case "money":
            amount = (groups[0] or groups[1]).replace(",", "." if groups[1] else "")
            yield "money", {f"{float(amount):.2f}"}
        case "phone":
            digits = re.sub(r"\D", "", match[0]).lstrip("0")
            if len(digits) >= 9:
                yield "phone", {digits}
        case _:
            if re.fullmatch(r"20[2-3]\d", match[0]):
                return  # a year
            yield "number", {match[0].replace(",", "").lower()}


def _days(*readings: tuple[str | None, int | str, int | str]) -> set[str]:
    days = set()
    for year, month, day in readings:
        try:
            days.add(date(int(year or TODAY.year), int(month), int(day)).isoformat())
        except ValueError:
            continue
    return days


def _times(hour: str, minute: str, half: str | None) -> set[str]:
    number, said = int(hour), re.sub(r"[\s.]", "", (half or "").lower())
    if number > 24 or int(minute) > 59:
        return set()
    number %= 24
    if number > 12:
        return {f"{number:02}:{minute}"}
    is_late = said.startswith("p") or said.endswith(
        ("tarde", "noche", "afternoon", "evening", "night")
    )
    is_early = said.startswith("am") or said.endswith(("mañana", "manana", "morning"))
    hours = (
        {number % 12 + 12}
        if is_late
        else {number % 12}
        if is_early
        else {number, (number + 12) % 24}
    )
    return {f"{each:02}:{minute}" for each in hours}
