"""The facet of a call that says what the callee said, as far as the result needs it.

There are only quotations: a question is found by comparing its words with KallyAI's, and nothing is
interpreted.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import dropwhile, takewhile
from typing import NamedTuple

from kallyai_mcp.api.models import Call, Transcript, TranscriptEntry
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.tools.facets.booking import Asked
from kallyai_mcp.tools.submissions import questions_in
from kallyai_mcp.tools.text.plain import clock, one_line

_LONGEST = 300
"""Characters of one quotation."""

_SIMILAR = 0.6
"""The share of a question's words that KallyAI's turn must have to count as asking it."""

_WITH_EVIDENCE = frozenset({Outcome.ANSWERED, Outcome.FAILED})
_WITH_ANSWERS = _WITH_EVIDENCE | {Outcome.BOOKED, Outcome.BOOKED_OTHER_TIME}
"""The outcomes whose results quote the callee: without questions, and with them."""


@dataclass(frozen=True)
class Quote:
    """Words of the callee, and when they were said: the time since the call began, as "0:34".

    After a `question`, `quote` is None if nothing answered it; if several turns fit it equally
    well, it has several.
    """

    question: str | None
    quote: str | None
    at: str | None


@dataclass(frozen=True)
class Speech:
    """What the callee of a call said.

    Attributes:
        evidence: The words that decided the outcome, if there were no questions.
        answers: The words after each question.
        is_unanswered: Whether there are questions, and no transcript was read to find answers in.
        has_transcript: False if KallyAI is known to have none.
    """

    evidence: Quote | None = None
    answers: tuple[Quote, ...] = ()
    is_unanswered: bool = False
    has_transcript: bool = True


NOT_NEEDED = Speech()
"""What is known of a call whose result does not quote the callee."""


class _Fit(NamedTuple):
    """How well a turn of KallyAI asks a question.

    Of equal shares, one that is a question is better.
    """

    share: float
    is_question: bool


_NO_FIT = _Fit(0.0, is_question=False)


def is_speech_needed(asked: Asked, outcome: Outcome | None) -> bool:
    """Whether the result of a call quotes the callee, so that its transcript must be read."""
    return outcome in (_WITH_ANSWERS if questions_in(asked) else _WITH_EVIDENCE)


def speech_of(asked: Asked, call: Call, transcript: Transcript) -> Speech:
    """What the callee said in a call whose result quotes it."""
    questions = questions_in(asked)
    if not questions:
        return Speech(evidence=_evidence(transcript.entries, call.highlights or ""))
    answers: list[Quote] = []
    for question in questions:
        answers += _answers(question, transcript.entries)
    return Speech(answers=tuple(answers))


def unread_speech(asked: Asked, *, has_transcript: bool) -> Speech:
    """What is known of such a call without its transcript."""
    return Speech(is_unanswered=bool(questions_in(asked)), has_transcript=has_transcript)


def _evidence(entries: Sequence[TranscriptEntry], report: str) -> Quote | None:
    """The callee's turn that has most in common with KallyAI's report.

    Of equals, the one that has least besides.

    What the callee said before KallyAI's first words is a greeting, and decides nothing.
    """
    reported = _words(report)
    after = list(dropwhile(lambda entry: not entry.is_kallyai, entries)) or entries
    turns = list(filter(_is_of_callee, after))
    if not turns:
        return None

    def fits(entry: TranscriptEntry) -> tuple[int, float, int]:
        words = _words(entry.content)
        common = len(reported & words)
        return common, common / max(1, len(words)), len(entry.content)

    return _quote(None, [max(turns, key=fits)])


def _is_of_callee(entry: TranscriptEntry) -> bool:
    """Whether the callee says something in this turn."""
    return bool(entry.content) and not entry.is_kallyai


def _answers(question: str, entries: Sequence[TranscriptEntry]) -> Sequence[Quote]:
    """The callee's words after the turns that ask a question best; of the same words, the last."""
    by_words: dict[str | None, Quote] = {}
    for place in _turns_that_ask(question, entries):
        reply = _reply(entries, place)
        if any(turn.content for turn in reply):
            said = _quote(question, reply)
            by_words[said.quote] = said
    return list(by_words.values()) or [Quote(question, None, None)]


def _turns_that_ask(question: str, entries: Sequence[TranscriptEntry]) -> list[int]:
    """The places of KallyAI's turns that have most words of a question, if these are enough."""
    asked = _words(question)
    if not asked:
        return []
    fits = [_fit(asked, entry) for entry in entries]
    best = max(fits, default=_NO_FIT)
    if best.share < _SIMILAR:
        return []
    return [place for place, fit in enumerate(fits) if fit == best]


def _fit(asked: frozenset[str], entry: TranscriptEntry) -> _Fit:
    """How well a turn asks a question that has these words."""
    if not entry.is_kallyai:
        return _NO_FIT
    return _Fit(len(asked & _words(entry.content)) / len(asked), "?" in entry.content)


def _reply(entries: Sequence[TranscriptEntry], place: int) -> list[TranscriptEntry]:
    """What follows the turn at `place`, up to KallyAI's next words."""
    return list(takewhile(lambda entry: not entry.is_kallyai, entries[place + 1 :]))


def _quote(question: str | None, turns: Sequence[TranscriptEntry]) -> Quote:
    words = one_line(" ".join(turn.content for turn in turns), _LONGEST)
    return Quote(question, words, clock(turns[0].timestamp) or None)


def _words(text: str) -> frozenset[str]:
    words = re.findall(r"\w+", text.casefold())
    return frozenset(word for word in words if len(word) > 2 or word.isdigit())
