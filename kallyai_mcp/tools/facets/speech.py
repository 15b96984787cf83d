"""The facet of a call that says what the callee said, as far as the result needs it.

`calls.speech` finds the words; nothing is interpreted here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kallyai_mcp.api.models import Call, Transcript
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.speech.answers import answers_in, evidence_in
from kallyai_mcp.tools.facets.booking import Asked
from kallyai_mcp.tools.submissions import questions_in
from kallyai_mcp.tools.text.plain import clock, one_line

_LONGEST = 300
"""Characters of one quotation."""

_WITH_EVIDENCE = frozenset({Outcome.ANSWERED, Outcome.FAILED})
_WITH_ANSWERS = _WITH_EVIDENCE | {Outcome.BOOKED, Outcome.BOOKED_OTHER_TIME}
"""The outcomes whose results quote the callee: without questions, and with them."""


@dataclass(frozen=True)
class Quote:
    """Words of the callee, and when they were said: the time since the call began, as "0:34".

    After a `question`, `quote` is None if nothing answered it; if several turns fit it equally
    well, it has several.
    """

    question: str | None = None
    quote: str | None = None
    at: str | None = None


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


def is_speech_needed(asked: Asked, outcome: Outcome | None) -> bool:
    """Whether the result of a call quotes the callee, so that its transcript must be read."""
    return outcome in (_WITH_ANSWERS if questions_in(asked) else _WITH_EVIDENCE)


def speech_of(asked: Asked, call: Call, transcript: Transcript) -> Speech:
    """What the callee said in a call whose result quotes it."""
    questions = questions_in(asked)
    if not questions:
        return Speech(evidence=_evidence(transcript, call.highlights or ""))
    answers: list[Quote] = []
    for question in questions:
        answers += _answers(question, transcript)
    return Speech(answers=tuple(answers))


def unread_speech(asked: Asked, *, has_transcript: bool) -> Speech:
    """What is known of such a call without its transcript."""
    return Speech(is_unanswered=bool(questions_in(asked)), has_transcript=has_transcript)


def _answers(question: str, transcript: Transcript) -> Sequence[Quote]:
    """The callee's words after the turns that ask a question best; of the same words, the last."""
    quotes = [_quote(question, one.quote, one.at) for one in answers_in(transcript, question)]
    by_words = {one.quote: one for one in quotes}
    return list(by_words.values()) or [Quote(question, None, None)]


def _evidence(transcript: Transcript, report: str) -> Quote | None:
    words = evidence_in(transcript, report)
    return _quote(None, words.quote, words.at) if words is not None else None


def _quote(question: str | None, words: str, at: str | None) -> Quote:
    return Quote(question, one_line(words, _LONGEST), clock(at) or None)
