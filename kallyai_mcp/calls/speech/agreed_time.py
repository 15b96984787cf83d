"""Whether a time that was agreed to in words is another one than that of the calendar event.

Times count in KallyAI's report and in the callee's words. Both are prose, in English or Spanish. A
time counts only in a sentence that says that something was booked, and not in a part of it about
other times, such as opening hours, arrival, or times that were refused. What is quoted in a report
was said by others, and does not count. A text that can be read in two ways agrees if one of them
does.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import NamedTuple

from kallyai_mcp.api.models import Transcript
from kallyai_mcp.calls.numbers import local_times
from kallyai_mcp.calls.speech.agreement import NOTHING_SAID
from kallyai_mcp.calls.speech.sentences import LONGEST_QUOTE, callee_turns, excerpt
from kallyai_mcp.calls.speech.times_of_day import NamedTime, on_the_dial, times_in

_HALF = re.compile(r"\b([ap])\.?\s?(m)\b\.?", re.IGNORECASE)
"""Writings of "am" and "pm": their periods would end a sentence."""

_QUOTED = re.compile(r'"[^"]*"|\u201c[^\u201c\u201d]*\u201d|\u00ab[^\u00ab\u00bb]*\u00bb')

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n")

_PART_END = re.compile(
    r",|:\s|\s[\u2013\u2014-]\s|\b(?:and|but|although|because|so|pero|aunque|porque"
    r"|y(?!\s(?:media|cuarto|cinco|diez|veinte|veinticinco|quince|treinta|\d)))\b",
    re.IGNORECASE,
)

_OTHER_TIMES = (
    r"open\w*|clos\w+|kitchen|hours|until|before|after|arriv\w+|come|call|taken|full|not|no|asked"
    r"|wanted|instead|cancel\w*|abr\w+|cierr\w+|cocina|horario|hasta|antes|despu\u00e9s|lleg\w+"
    r"|llam\w+|ocupad\w+|pidi\w+|quer\w+|anul\w+|veng\w+|if|si"
)
"""What shows that a time is none of the booking, in a report and in what the callee says."""

_OFFERS = (
    r"would|could|can|may|might|next|first|earliest|only|available|free|was|were|from|see(?!\syou\b)"
    r"|find|found|podr\u00eda\w*|pued\w+|podemos|pr\u00f3xim\w+|primer\w*|libre|disponible|solo"
    r"|s\u00f3lo|veo|estaba|era"
)
"""What shows that the callee offers a time, or speaks of the booking as it was."""


class _Wording(NamedTuple):
    """How a kind of text speaks of times: words that say that something was booked, and words that
    speak of other times.
    """

    booked: re.Pattern[str]
    of_other_times: re.Pattern[str]


_REPORTED = _Wording(
    re.compile(
        r"\b(?:book(?:ed|ing)|reserv\w+|confirm\w+|appointment|schedul\w+|moved|agreed"
        r"|cita|acord\w+|queda|cambi[a\u00f3]\w*)\b",
        re.IGNORECASE,
    ),
    re.compile(rf"\b(?:{_OTHER_TIMES})\b|n['\u2019]t\b", re.IGNORECASE),
)

_SAID = _Wording(
    re.compile(
        r"\b(?:booked|reserved|confirmed|scheduled|moved\s(?:you|it|that)|see\syou|expect(?:ing)?\syou"
        r"|your\s(?:table|appointment|booking|reservation|room)|you(?:['\u2019]re|\sare)\s(?:all\sset|down)"
        r"|(?:put|got|have|marked|wrote|pencil\w*)\syou|it\sis(?=\s*(?:$|[,.!]))"
        r"|that(?:['\u2019]s|\sis)\s(?:a|an|one|your)\s(?:table|room|appointment|booking|reservation)"
        r"|queda\s(?:una|su|la)\s(?:mesa|cita|reserva|habitaci\u00f3n)"
        r"|reservad\w+|confirmad\w+|agendad\w+|apunt\w+|anot\w+|(?:les?|te|os)\sesper\w+|nos\svemos"
        r"|quedamos|su\s(?:mesa|cita|reserva|habitaci\u00f3n))\b",
        re.IGNORECASE,
    ),
    re.compile(rf"\b(?:{_OTHER_TIMES}|{_OFFERS})\b|n['\u2019]t\b", re.IGNORECASE),
)


@dataclass(frozen=True)
class AgreedTime:
    """A time that was agreed to in words: as it was named, and the sentence.

    `at` is as the transcript gives it; None if KallyAI's report has the sentence.
    """

    time: str
    quote: str
    at: str | None


_Named = tuple[AgreedTime, NamedTime]
"""A time as it is told, and what it may mean."""


class _Clock(NamedTuple):
    """What shows whether a named time is the event's: the times of day that it has by the clocks of
    the callee, and the number of people, if that is known.
    """

    shown: frozenset[time]
    party_size: int | None

    def agrees(self, named: NamedTime) -> bool:
        """Whether the event may be meant."""
        return bool(self.shown & named.readings)

    def differs(self, named: NamedTime) -> bool:
        """Whether certainly another time is meant. "For seven" may be the number of people."""
        return not (self.agrees(named) or self.may_be_people(named))

    def may_be_people(self, named: NamedTime) -> bool:
        """Whether a number of people may be meant: that of the request, if it is known."""
        if not named.may_be_people:
            return False
        hours = {on_the_dial(moment.hour) for moment in named.readings}
        return self.party_size is None or self.party_size in hours

    def times(self, found: Iterable[_Named]) -> list[_Named]:
        """What is a time in one text: "a table for 4" is none where the text has another one."""
        everything = list(found)
        certain = [one for one in everything if not self.may_be_people(one[1])]
        return certain or everything


def agreed_other_time(
    report: str | None,
    transcript: Transcript | None,
    start: date | datetime | None,
    number: str | None,
    party_size: int | None = None,
) -> AgreedTime | None:
    """A time that was agreed to in words, if no such time is that of the event, which has `start`.

    None if they agree, or if either has no time. The callee's words come before the report. Times
    are the callee's, whose `number` is in E.164; if its clock is not known, that of `start` (aware)
    counts.
    """
    if not isinstance(start, datetime):
        return None
    clock = _Clock(_shown(start, number), party_size)
    said = clock.times(_said(transcript or NOTHING_SAID))
    agreed = [*said, *clock.times(_reported(report or ""))]
    if any(clock.agrees(named) for _, named in agreed):
        return None
    others = (words for words, named in agreed if clock.differs(named))
    return next(others, None)


def _shown(start: datetime, number: str | None) -> frozenset[time]:
    """The times of day of a moment by the clocks of a number."""
    moments = local_times(number or "", start) or (start,)
    return frozenset(moment.time().replace(second=0, microsecond=0) for moment in moments)


def _reported(report: str) -> Iterator[_Named]:
    """The times for which a report says that something was booked."""
    for sentence, named in _times_of_booking(report, _REPORTED):
        yield AgreedTime(named.written, sentence, None), named


def _said(transcript: Transcript) -> Iterator[_Named]:
    """The times for which the callee says that something was booked. A question does not say it."""
    for entry in callee_turns(transcript):
        for sentence, named in _times_of_booking(entry.content, _SAID):
            if "?" not in sentence:
                yield AgreedTime(named.written, sentence, entry.timestamp), named


def _times_of_booking(text: str, wording: _Wording) -> Iterator[tuple[str, NamedTime]]:
    """Each time for which a sentence says that something was booked, and what is to be quoted."""
    plain = _QUOTED.sub(" ", _HALF.sub(r"\1\2", text))
    for sentence in map(str.strip, _SENTENCE_END.split(plain)):
        if wording.booked.search(sentence) is None:
            continue
        for part in _PART_END.split(sentence):
            if wording.of_other_times.search(part) is None:
                for named in _without_people(times_in(part)):
                    yield _quote(sentence, part, named), named


def _quote(sentence: str, part: str, named: NamedTime) -> str:
    """The sentence that names a time; of a long one, the words around the time."""
    if len(sentence) <= LONGEST_QUOTE:
        return sentence
    return excerpt(part, named.position).strip()


def _without_people(times: list[NamedTime]) -> list[NamedTime]:
    """Times without what is a number of people beside one: "for four at seven"."""
    certain = [named for named in times if not named.may_be_people]
    return certain or times
