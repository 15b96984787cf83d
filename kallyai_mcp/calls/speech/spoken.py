"""What the transcript of a call shows, as far as the ledger keeps it."""

from dataclasses import dataclass

from kallyai_mcp.api.models import Submission, SubmissionEcho, Transcript
from kallyai_mcp.calls.instructions import questions_in
from kallyai_mcp.calls.speech.answers import answers_in, evidence_in
from kallyai_mcp.calls.speech.disclosure import Disclosure, disclosure_in
from kallyai_mcp.calls.speech.machine import SpokeWith, spoke_with
from kallyai_mcp.calls.speech.opt_out import opt_out_in
from kallyai_mcp.calls.speech.sentences import Words

_LONGEST = 300
"""The most characters of a quotation that is kept."""


@dataclass(frozen=True)
class Quotation:
    """Words of the callee, when they were said, as in `Words`, and the question that they answer,
    if any.
    """

    quote: str
    at: str | None = None
    question: str | None = None


@dataclass(frozen=True)
class Spoken:
    """What a transcript shows; `disclosure` and `spoke_with` are None if KallyAI has none.

    Attributes:
        disclosure: Whether KallyAI said that it is an AI.
        spoke_with: Who spoke in place of the callee.
        machine: The first words that show a machine, if only machines spoke.
        opt_out: The callee's first words that ask not to be called again.
        quotes: The callee's answers to the questions, or else the words that decided the outcome.
    """

    disclosure: Disclosure | None = None
    spoke_with: SpokeWith | None = None
    machine: Words | None = None
    opt_out: Words | None = None
    quotes: tuple[Quotation, ...] = ()

    @property
    def has_transcript(self) -> bool:
        """Whether a transcript was read."""
        return self.disclosure is not None


NOTHING_SPOKEN = Spoken()
"""KallyAI has no transcript."""


def spoken_in(
    transcript: Transcript, asked: Submission | SubmissionEcho, report: str | None
) -> Spoken:
    """What the transcript shows of a call that was `asked` for, and that KallyAI reports so; one
    without entries shows nothing.
    """
    if not transcript.entries:
        return NOTHING_SPOKEN
    line = spoke_with(transcript)
    return Spoken(
        disclosure_in(transcript),
        line.spoke_with,
        line.words,
        opt_out_in(transcript),
        _quotes_in(transcript, asked, report or ""),
    )


def _quotes_in(
    transcript: Transcript, asked: Submission | SubmissionEcho, report: str
) -> tuple[Quotation, ...]:
    questions = questions_in(asked)
    if not questions:
        evidence = evidence_in(transcript, report)
        return () if evidence is None else (_quotation(evidence.quote, evidence.at),)
    answers = (
        _quotation(answer.quote, answer.at, question)
        for question in questions
        for answer in answers_in(transcript, question)
    )
    return tuple(dict.fromkeys(answers))


def _quotation(quote: str, at: str | None, question: str | None = None) -> Quotation:
    return Quotation(" ".join(quote.split())[:_LONGEST], at, question)
