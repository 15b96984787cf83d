"""The callee's own words: those that decided the outcome, and the answers to questions.

There are only quotations: a question is found by comparing its words with KallyAI's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import dropwhile, takewhile
from typing import NamedTuple

from kallyai_mcp.api.models import Transcript, TranscriptEntry
from kallyai_mcp.calls.speech.hedging import is_hedged
from kallyai_mcp.calls.speech.sentences import Words

_SIMILAR = 0.6
"""The share of a question's words that KallyAI's turn must have to count as asking it."""


@dataclass(frozen=True)
class Answer:
    """The callee's whole reply to a question, in these `turns`."""

    turns: tuple[TranscriptEntry, ...]

    @property
    def quote(self) -> str:
        """All that the callee said."""
        return " ".join(turn.content for turn in self.turns)

    @property
    def at(self) -> str | None:
        """When the reply began, as the transcript gives it."""
        return self.turns[0].timestamp

    @property
    def hedged(self) -> bool:
        """Whether it says that it is not certain. Only this reads the table of phrases."""
        return is_hedged(self.turns)


class _Fit(NamedTuple):
    """How well a turn of KallyAI asks a question.

    Of equal shares, one that is a question is better.
    """

    share: float
    is_question: bool


_NO_FIT = _Fit(0.0, is_question=False)


def evidence_in(transcript: Transcript, report: str) -> Words | None:
    """The callee's turn that has most in common with KallyAI's report.

    Of equals, the one that has least besides.

    What the callee said before KallyAI's first words is a greeting, and decides nothing.
    """
    entries = transcript.entries
    reported = _words(report)
    after = list(dropwhile(lambda entry: not entry.is_kallyai, entries)) or entries
    turns = list(filter(_is_of_callee, after))
    if not turns:
        return None

    def fits(entry: TranscriptEntry) -> tuple[int, float, int]:
        words = _words(entry.content)
        common = len(reported & words)
        return common, common / max(1, len(words)), len(entry.content)

    best = max(turns, key=fits)
    return Words(best.content, best.timestamp)


def _is_of_callee(entry: TranscriptEntry) -> bool:
    """Whether the callee says something in this turn."""
    return bool(entry.content) and not entry.is_kallyai


def answers_in(transcript: Transcript, question: str) -> list[Answer]:
    """The callee's words after each of KallyAI's turns that ask a question best."""
    entries = transcript.entries
    replies = [_reply(entries, place) for place in _turns_that_ask(question, entries)]
    return [Answer(turns) for turns in replies if any(turn.content for turn in turns)]


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


def _reply(entries: Sequence[TranscriptEntry], place: int) -> tuple[TranscriptEntry, ...]:
    """What follows the turn at `place`, up to KallyAI's next words."""
    return tuple(takewhile(lambda entry: not entry.is_kallyai, entries[place + 1 :]))


def _words(text: str) -> frozenset[str]:
    words = re.findall(r"\w+", text.casefold())
    return frozenset(word for word in words if len(word) > 2 or word.isdigit())
