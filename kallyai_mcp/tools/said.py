"""What the callee said in a call: the answers to questions, and the words that decided the outcome.

There are only quotations: a question is found by comparing its words with KallyAI's, and nothing is interpreted.
"""

import re
from collections.abc import Sequence
from itertools import dropwhile, takewhile
from typing import TYPE_CHECKING, Literal

import anyio

from kallyai_mcp.api.errors import KallyAIError, NotFoundError
from kallyai_mcp.api.models import Transcript, TranscriptEntry
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.tools.call_view import BOOKED, Answer, CallView, Quote, Said
from kallyai_mcp.tools.instructions import questions_in
from kallyai_mcp.tools.text.plain import clock, one_line

if TYPE_CHECKING:
    from kallyai_mcp.tools.context import AppContext

_SECONDS = 3.0
"""How many seconds to wait for a transcript, which must not delay a result for long."""

_LONGEST = 300
"""Characters of one quotation."""

_SIMILAR = 0.6
"""The share of a question's words that KallyAI's turn must have to count as asking it."""


async def read_said(app_context: "AppContext", view: CallView) -> Said:
    """What the callee of an ended call said, as far as its result needs it."""
    questions, call = questions_in(view.submission), view.call
    needs_evidence = view.outcome is Outcome.ANSWERED
    talked = needs_evidence or view.outcome in BOOKED
    if call is None or not (needs_evidence or (questions and talked)):
        return Said()
    transcript: Transcript | None = None
    missing: Literal["answers_unread", "no_transcript"] = "answers_unread"
    try:
        with anyio.move_on_after(_SECONDS):
            transcript = await app_context.api().get_transcript(call.call_id)
    except NotFoundError:
        missing = "no_transcript"
    except KallyAIError:
        pass  # the outcome counts without it
    if transcript is None:
        return Said(missing=missing if questions else None)
    evidence = _evidence(transcript, call.highlights or "") if needs_evidence and not questions else None
    return Said(evidence, tuple(_answer(question, transcript.entries) for question in questions))


def _evidence(transcript: Transcript, report: str) -> Quote | None:
    """The callee's turn that has most in common with KallyAI's report; of equals, the one that has least besides.

    What the callee said before KallyAI's first words is a greeting, and decides nothing.
    """
    reported = _words(report)
    after = list(dropwhile(lambda entry: not entry.is_kallyai, transcript.entries)) or transcript.entries
    turns = [entry for entry in after if entry.content and not entry.is_kallyai]

    def fits(entry: TranscriptEntry) -> tuple[int, float, int]:
        words = _words(entry.content)
        common = len(reported & words)
        return common, common / max(1, len(words)), len(entry.content)

    best = max(turns, key=fits, default=None)
    return _quote([best]) if best is not None else None


def _answer(question: str, entries: Sequence[TranscriptEntry]) -> Answer:
    asked = _words(question)
    shares = {
        place: len(asked & _words(entry.content)) / len(asked)
        for place, entry in enumerate(entries)
        if asked and entry.is_kallyai
    }
    best = max(shares.values(), default=0)
    places = [place for place, share in shares.items() if share == best and share >= _SIMILAR]
    following = (list(takewhile(lambda entry: not entry.is_kallyai, entries[place + 1 :])) for place in places)
    return Answer(question, tuple(_quote(turns) for turns in following if any(turn.content for turn in turns)))


def _quote(turns: Sequence[TranscriptEntry]) -> Quote:
    words = one_line(" ".join(turn.content for turn in turns if turn.content), _LONGEST)
    return Quote(words, clock(turns[0].timestamp) or None)


def _words(text: str) -> frozenset[str]:
    return frozenset(word for word in re.findall(r"\w+", text.casefold()) if len(word) > 2 or word.isdigit())
