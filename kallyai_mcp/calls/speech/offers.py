"""Which times were offered or asked about, and whether the callee was closed at the moment of the
call.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date, time
from itertools import filterfalse
from typing import NamedTuple

from kallyai_mcp.api.models import Transcript, TranscriptEntry
from kallyai_mcp.calls.speech.phrases import phrases
from kallyai_mcp.calls.speech.sentences import (
    Sentence,
    Words,
    callee_sentences,
    plain_words_of,
    sentences_of,
)
from kallyai_mcp.calls.speech.times_of_day import (
    NamedTime,
    hours_in,
    on_the_dial,
    times_in,
    weekdays_in,
)

_HALF = re.compile(r"\b([ap])\.?\s?m\b\.?", re.IGNORECASE)


Span = tuple[time, time]
"""A span of times, as its first and its last one; a single time is both."""


class Moment(NamedTuple):
    """The day and the time that were asked for, as far as they were."""

    day: date | None
    at: time | None


def offer_in(transcript: Transcript, report: str, asked: Moment) -> Words | None:
    """The callee's words that offer another day or time, or else the sentence of KallyAI's report
    that says so (`at` is None then); None without an offer.
    """
    said = _first_offer(callee_sentences(transcript), "offer", asked)
    if said is not None:
        return said
    return _first_offer(sentences_of(TranscriptEntry(content=report)), "offer_reported", asked)


def _first_offer(sentences: Iterable[Sentence], meaning: str, asked: Moment) -> Words | None:
    for sentence in sentences:
        if _is_offer(sentence, meaning, asked):
            return sentence.words_around(0)
    return None


def unasked_in(transcript: Transcript, times: Sequence[Span]) -> tuple[Span, ...]:
    """Those of some times that nobody has named, not even by the hour alone."""
    readings: set[time] = set()
    hours: set[int] = set()
    for entry in transcript.entries:
        text = _plain(entry.content)
        named = times_in(text)
        readings = readings.union(*(one.readings for one in named))
        hours |= hours_in(plain_words_of(_without(named, text)))
    return tuple(filterfalse(lambda one: _is_named(one, readings, hours), times))


def _without(named: Sequence[NamedTime], text: str) -> str:
    """What a text has besides the times that it names, which are in its order."""
    parts: list[str] = []
    end = 0
    for one in named:
        parts.append(text[end : one.position])
        end = one.position + len(one.written)
    return " ".join([*parts, text[end:]])


def _is_named(span: Span, readings: set[time], hours: set[int]) -> bool:
    first, last = span
    if any(first <= at <= last for at in readings):
        return True
    return not hours.isdisjoint(map(on_the_dial, range(first.hour, last.hour + 1)))


def closed_in(transcript: Transcript) -> Words | None:
    """The callee's first words that say that it is closed now, or is to be called later."""
    for sentence in callee_sentences(transcript):
        found = phrases("closed_now").find(sentence)
        if found is not None and not sentence.is_question:
            return sentence.words_around(found.start)
    return None


def _is_offer(sentence: Sentence, meaning: str, asked: Moment) -> bool:
    if phrases(meaning).find(sentence) is None:
        return False
    return _names_other_time(sentence.text, asked) or _names_other_day(sentence.text, asked.day)


def _names_other_time(text: str, asked: Moment) -> bool:
    """Whether a text names a time that is certainly not the one that was asked for."""
    for one in times_in(_plain(text)):
        if not one.may_be_people and asked.at not in one.readings:
            return True
    return False


def _plain(text: str) -> str:
    """`text` with "am" and "pm" as `times_in` takes them."""
    return _HALF.sub(r"\1m", text)


def _names_other_day(text: str, asked: date | None) -> bool:
    """Whether a text names a day of the week that is not the one that was asked for."""
    named = weekdays_in(text)
    if asked is None:
        return bool(named)
    return bool(named) and asked.weekday() not in named
