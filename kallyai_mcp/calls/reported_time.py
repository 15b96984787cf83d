"""Whether KallyAI's report of a call names another time for the booking than its calendar event.

A report is prose, in English or Spanish. A time in it counts only in a sentence that says that
something was booked, and not in a part of it about other times, such as opening hours. What is
quoted in a report was said by others, and does not count. A text that can be read in two ways
agrees if one of them does.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import NamedTuple

from kallyai_mcp.calls.numbers import local_times

_HALF = re.compile(r"\b([ap])\.?\s?(m)\b\.?", re.IGNORECASE)
"""Writings of "am" and "pm": their periods would end a sentence."""

_QUOTED = re.compile(r'"[^"]*"|\u201c[^\u201d]*\u201d|\u00ab[^\u00bb]*\u00bb')

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n")

_PART_END = re.compile(
    r",|:\s|\b(?:and|but|although|because|y(?!\s(?:media|cuarto))|pero|aunque|porque)\b",
    re.IGNORECASE,
)

_BOOKED = re.compile(
    r"\b(?:book(?:ed|ing)|reserv\w+|confirm\w+|appointment|schedul\w+|moved|agreed"
    r"|cita|acord\w+|queda|cambi[a\u00f3]\w*)\b",
    re.IGNORECASE,
)

_OF_OTHER_TIMES = re.compile(
    r"\b(?:open\w*|clos\w+|kitchen|hours|until|before|after|arriv\w+|come|call|taken|full|not|no|asked|wanted"
    r"|instead|cancel\w*|abr\w+|cierr\w+|cocina|horario|hasta|antes|despu\u00e9s|lleg\w+|llam\w+"
    r"|ocupad\w+|pidi\w+|quer\w+|anul\w+)\b|n['\u2019]t\b",
    re.IGNORECASE,
)

_TIME = re.compile(
    r"""(?<![\w:.,/$+-])
    (?:
        (?P<word>noon|midnight|mediod\u00eda|medianoche)
        | (?P<hour>\d{1,2}):(?P<minute>\d\d)(?::\d\d)?(?:\s?(?P<half>[ap]m)\b)?
        | (?P<full>\d{1,2})(?:\.(?P<part>\d\d))?\s?(?P<marked>[ap]m\b|o['\u2019]clock)
        | las?\s(?P<spoken>\d{1,2})(?!\d|[:.]\d|\s?[ap]m\b|\s(?:y|menos)\b)
            (?:\sde\sla\s(?P<daypart>ma\u00f1ana|tarde|noche))?
    )""",
    re.IGNORECASE | re.VERBOSE,
)

_WORDS = {"noon": time(12), "mediod\u00eda": time(12), "midnight": time(0), "medianoche": time(0)}
_MORNING = ("am", "ma\u00f1ana")
_AFTERNOON = ("pm", "tarde", "noche")


def other_time_in(
    report: str | None, start: date | datetime | None, number: str | None
) -> str | None:
    """The time of the booking in a report, as written there, if it is not the `start` of the event.

    None if they agree, or if either has no time. The times of a report are the callee's, whose
    `number` is in E.164; if its clock is not known, that of `start` (aware) counts.
    """
    if not report or not isinstance(start, datetime):
        return None
    clocks = local_times(number or "", start) or (start,)
    shown = {moment.time().replace(second=0, microsecond=0) for moment in clocks}
    named = list(_times_of_booking(report))
    if not named or any(shown & one.readings for one in named):
        return None
    return named[0].text


class _NamedTime(NamedTuple):
    """A time in a report: as it is written, and all times of day that this may mean."""

    text: str
    readings: frozenset[time]


def _times_of_booking(report: str) -> Iterator[_NamedTime]:
    """The times for which a report says that something was booked."""
    plain = _QUOTED.sub(" ", _HALF.sub(r"\1\2", report))
    for sentence in _SENTENCE_END.split(plain):
        if _BOOKED.search(sentence) is None:
            continue
        for part in _PART_END.split(sentence):
            if _OF_OTHER_TIMES.search(part) is None:
                yield from _times_in(part)


def _times_in(part: str) -> Iterator[_NamedTime]:
    for found in _TIME.finditer(part):
        readings = _readings(found)
        if readings:
            yield _NamedTime(found[0], readings)


def _readings(found: re.Match[str]) -> frozenset[time]:
    """The times of day that a text may mean; none if it is no time."""
    if word := found["word"]:
        return frozenset({_WORDS[word.lower()]})
    hour = int(_given(found, "hour", "full", "spoken"))
    minute = int(_given(found, "minute", "part") or 0)
    if hour > 23 or minute > 59:
        return frozenset()
    half = _given(found, "half", "marked", "daypart").lower()
    return frozenset(time(one, minute) for one in _hours(hour, half))


def _given(found: re.Match[str], *names: str) -> str:
    """The text of the group that was found; "" if none was."""
    return next((found[name] for name in names if found[name]), "")


def _hours(hour: int, half: str) -> set[int]:
    """The hours of the day that an `hour` may be; `half` says which half of the day, or is
    empty.
    """
    morning = hour % 12
    afternoon = morning + 12
    if half in _MORNING:
        return {morning}
    if half in _AFTERNOON:
        return {afternoon}
    if 0 < hour <= 12:
        return {morning, afternoon}
    return {hour}
