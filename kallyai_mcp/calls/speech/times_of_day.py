"""Times of day in a text, in English or Spanish, and how each may be read."""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import time
from typing import NamedTuple

_EN_HOURS = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_ES_HOURS = "una|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|once|doce"
_HOURS = {
    word: hour for words in (_EN_HOURS, _ES_HOURS) for hour, word in enumerate(words.split("|"), 1)
}
_WEEKDAYS = (
    ("monday", "lunes"),
    ("tuesday", "martes"),
    ("wednesday", "mi\u00e9rcoles", "miercoles"),
    ("thursday", "jueves"),
    ("friday", "viernes"),
    ("saturday", "s\u00e1bado", "sabado"),
    ("sunday", "domingo"),
)
_DAYS = {name: number for number, names in enumerate(_WEEKDAYS) for name in names}
_DIGITS = frozenset(f"{hour}" for hour in range(24)) | {f"{hour:02}" for hour in range(24)}
_MINUTES = {
    "quarter": 15,
    "a quarter": 15,
    "half": 30,
    "oh five": 5,
    "five": 5,
    "ten": 10,
    "fifteen": 15,
    "twenty": 20,
    "twenty five": 25,
    "thirty": 30,
    "thirty five": 35,
    "forty": 40,
    "forty five": 45,
    "fifty": 50,
    "fifty five": 55,
    "cuarto": 15,
    "media": 30,
    "cinco": 5,
    "diez": 10,
    "quince": 15,
    "veinte": 20,
    "veinticinco": 25,
    "treinta": 30,
    "cuarenta": 40,
    "cuarenta y cinco": 45,
    "cincuenta": 50,
}
_SAID = {
    "noon": time(12),
    "mediod\u00eda": time(12),
    "midnight": time(0),
    "medianoche": time(0),
}
_MORNING = ("am", "ma\u00f1ana", "morning")
_AFTERNOON = ("pm", "tarde", "noche", "afternoon", "evening", "night", "tonight")

_NAMES = {
    "EN_HOUR": rf"(?:{_EN_HOURS}|\d{{1,2}})",
    "EN_WORD": rf"(?:{_EN_HOURS})",
    "ES_HOUR": rf"(?:{_ES_HOURS}|\d{{1,2}})",
    "EN_MINUTES": (
        r"(?:(?:a\s)?quarter|twenty[\s-]five|five|ten|twenty|fifteen|\d{1,2})(?:\sminutes)?"
    ),
    "EN_AFTER_HOUR": (
        r"(?:oh[\s-]five|fifteen|twenty[\s-]five|twenty|thirty[\s-]five|thirty|forty[\s-]five"
        r"|forty|fifty[\s-]five|fifty|ten)"
    ),
    "ES_MINUTES": (
        r"(?:cuarto|media|cinco|diez|veinticinco|veinte|quince|treinta|cuarenta\sy\scinco|cuarenta"
        r"|cincuenta|\d{1,2})"
    ),
    "EN_HALF": (
        r"(?:\s?(?P<half>[ap]m)\b|\s(?:in\sthe|at|this)\s(?P<half2>morning|afternoon|evening|night)"
        r"|\s(?P<half3>tonight))?"
    ),
    "ES_HALF": r"(?:\s?(?P<half>[ap]m)\b|\s(?:de|por)\sla\s(?P<half2>ma\u00f1ana|tarde|noche))?",
    "NOT_A_NUMBER_OF": (
        r"(?![\w:]|[.,]\d|\s?(?:%|\$|\u20ac|people|persons?|guests|dollars?|euros?|bucks|pounds|cents"
        r"|percent|minutes|hours?|days?|nights|weeks|miles|street|avenue|main|tables?|times"
        r"|personas|comensales|minutos|horas|d\u00edas|noches|mesas|pesos)\b)"
    ),
    "AT_END": (
        r"(?=\s*(?:$|[.,;!?)])|\s(?:for|on|in|under|with|by|near|at|tonight|tomorrow|today|sharp"
        r"|this|that|next|then|and|or|there|please|as|if|is|local|instead"
        r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day|para|el|a|y|en)\b)"
    ),
}


class NamedTime(NamedTuple):
    """A time in a text: as written, where, and the times of day that it may mean.

    `may_be_people`: "for seven" may be a time or a number of people.
    """

    written: str
    position: int
    readings: frozenset[time]
    may_be_people: bool = False


class _Form(NamedTuple):
    """One way to write or say a time. Its groups are `hour`, `minute`, and `half`, a half of the
    day; `read` says what hour and minute mean.
    """

    pattern: re.Pattern[str]
    read: Callable[[int, int], tuple[int, int]]
    may_be_people: bool = False


def _past(hour: int, minute: int) -> tuple[int, int]:
    return hour, minute


def _to(hour: int, minute: int) -> tuple[int, int]:
    """Of 8 and 15: a quarter to eight."""
    return (hour - 1) or 12, 60 - minute


def _half_past(hour: int, minute: int) -> tuple[int, int]:  # noqa: ARG001 - as the others
    return hour, 30


def _form(
    pattern: str,
    read: Callable[[int, int], tuple[int, int]] = _past,
    *,
    may_be_people: bool = False,
) -> _Form:
    for name, meaning in _NAMES.items():
        pattern = pattern.replace(f"<{name}>", meaning)
    regex = re.compile(rf"(?<![\w:.,/$+-]){pattern}", re.IGNORECASE)
    return _Form(regex, read, may_be_people)


_FORMS = (
    _form(r"(?P<word>noon|midnight|mediod\u00eda|medianoche)\b"),
    # 7:30 pm, 19:30, 19.30 h, 7.30 pm, 7 pm, 7 o'clock, 19 h
    _form(r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::\d\d)?\b<ES_HALF>"),
    _form(
        r"(?P<hour>\d{1,2})(?:[.h](?P<minute>\d\d))?\s?(?:(?P<half>[ap]m)\b|o['\u2019]clock|h(?:oras|s)?\b)"
    ),
    # half past seven, half seven, quarter to eight, ten past seven
    _form(r"half(?:\spast)?\s(?P<hour><EN_HOUR>)\b<EN_HALF>", _half_past),
    _form(r"(?P<minute><EN_MINUTES>)\s(?:past|after)\s(?P<hour><EN_HOUR>)\b<EN_HALF>"),
    _form(r"(?P<minute><EN_MINUTES>)\s(?:to|of|before|till)\s(?P<hour><EN_HOUR>)\b<EN_HALF>", _to),
    # seven thirty, seven o'clock, seven pm, seven in the evening, at seven, at 7
    _form(r"(?P<hour><EN_WORD>)[\s-](?P<minute><EN_AFTER_HOUR>)\b<EN_HALF>"),
    _form(r"(?P<hour><EN_WORD>)\so['\u2019]?clock\b<EN_HALF>"),
    _form(r"(?P<hour><EN_HOUR>)\s?(?P<half>[ap]m)\b"),
    _form(
        r"(?P<hour><EN_HOUR>)\s(?:(?:in\sthe|at)\s(?P<half>morning|afternoon|evening|night)"
        r"|(?P<half2>tonight))\b"
    ),
    _form(r"(?<=\bat\s)(?P<hour><EN_WORD>)<AT_END>"),
    _form(r"(?<=\bat\s)(?P<hour>\d{1,2})<AT_END>"),
    # cuarto para las ocho, las ocho menos cuarto, las siete y media, las siete
    _form(r"(?P<minute><ES_MINUTES>)\spara\slas?\s(?P<hour><ES_HOUR>)\b<ES_HALF>", _to),
    _form(r"las?\s(?P<hour><ES_HOUR>)\smenos\s(?P<minute><ES_MINUTES>)\b<ES_HALF>", _to),
    _form(r"las?\s(?P<hour><ES_HOUR>)\sy\s(?P<minute><ES_MINUTES>)\b<ES_HALF>"),
    _form(r"las?\s(?P<hour><ES_HOUR>)\s(?P<minute>cuarenta\sy\scinco|quince|treinta)\b<ES_HALF>"),
    _form(r"las\s(?P<hour><ES_HOUR>)(?![\w:]|[.,]\d)<ES_HALF>"),
    _form(r"la\s(?P<hour>una|1)(?![\w:]|[.,]\d|\s(?:mesa|persona|noche|reserva|cita)\b)<ES_HALF>"),
    # for seven, to seven, para siete
    _form(
        r"(?:(?<=\bfor\s)|(?<=\bto\s)|(?<=\bpara\s))(?P<hour><EN_WORD>|<ES_HOUR>)<NOT_A_NUMBER_OF>",
        may_be_people=True,
    ),
)
"""The ways to name a time. What one of them has found is not read by the next ones."""


def times_in(text: str) -> list[NamedTime]:
    """The times of day that a text names, in its order. "a.m." must be written "am"."""
    found: list[NamedTime] = []
    for form in _FORMS:
        named = [_named(form, match) for match in form.pattern.finditer(text)]
        found += [one for one in named if one.readings]
        text = form.pattern.sub(_hidden_in(form), text)
    return sorted(found, key=lambda one: one.position)


def hours_in(words: Iterable[str]) -> frozenset[int]:
    """The hours of a dial, 1 to 12, that words of a text may mean by themselves: "nine", "21"."""
    hours = set()
    for word in words:
        if word in _HOURS:
            hours.add(_HOURS[word])
        elif word in _DIGITS:
            hours.add(on_the_dial(int(word)))
    return frozenset(hours)


def weekdays_in(text: str) -> frozenset[int]:
    """The days of the week that a text names, in English or Spanish; Monday is 0."""
    named = map(_DAYS.get, map(str.casefold, re.findall(r"\w+", text)))
    return frozenset(day for day in named if day is not None)


def names_moment(text: str) -> bool:
    """Whether a text names a time of day or a day of the week."""
    return bool(times_in(text) or weekdays_in(text))


def on_the_dial(hour: int) -> int:
    """An hour of the day as 1 to 12."""
    return hour % 12 or 12


def _named(form: _Form, match: re.Match[str]) -> NamedTime:
    return NamedTime(match.group(), match.start(), _readings(form, match), form.may_be_people)


def _hidden_in(form: _Form) -> Callable[[re.Match[str]], str]:
    """What replaces a match of a form: as many other characters if it is a time, so that all
    positions stay.
    """

    def hidden(match: re.Match[str]) -> str:
        is_time = bool(_readings(form, match))
        return "~" * len(match.group()) if is_time else match.group()

    return hidden


def _readings(form: _Form, match: re.Match[str]) -> frozenset[time]:
    """The times of day that a match may mean; none if it is no time."""
    groups = match.groupdict()
    if groups.get("word"):
        return frozenset({_SAID[groups["word"].lower()]})
    hour, minute = form.read(_hour(groups["hour"]), _minute(groups.get("minute")))
    if hour > 23 or minute > 59:
        return frozenset()
    half = next((text.lower() for text in _halves(groups)), "")
    return frozenset(time(one, minute) for one in _hours(hour, half))


def _halves(groups: dict[str, str | None]) -> Iterator[str]:
    """What a match says of the half of the day."""
    for name in ("half", "half2", "half3"):
        said = groups.get(name)
        if said:
            yield said


def _hour(text: str) -> int:
    return _HOURS[text.lower()] if text.lower() in _HOURS else int(text)


def _minute(text: str | None) -> int:
    """The minutes that a text says, such as "a quarter", "20 minutes", "forty-five"."""
    plain = re.sub(r"[\s-]+", " ", (text or "0").lower()).removesuffix(" minutes")
    return _MINUTES[plain] if plain in _MINUTES else int(plain)


def _hours(hour: int, half: str) -> set[int]:
    """The hours of the day that an `hour` may be; `half` says which half of the day, or is
    empty.
    """
    morning = hour % 12
    afternoon = hour % 12 + 12
    if half in _MORNING:
        return {morning}
    if half in _AFTERNOON:
        return {afternoon}
    return {morning, afternoon} if 0 < hour <= 12 else {hour}
