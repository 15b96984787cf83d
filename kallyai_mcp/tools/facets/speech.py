"""The facet of a call that says what the callee said, as far as the result needs it.

`calls.speech` finds the words; nothing is interpreted here.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby

from kallyai_mcp.api.models import Call, Transcript
from kallyai_mcp.calls.appointment import time_of_day
from kallyai_mcp.calls.instructions import questions_in
from kallyai_mcp.calls.outcome import BOOKED, Outcome
from kallyai_mcp.calls.speech.agreement import NOTHING_SAID, may_be_agreed
from kallyai_mcp.calls.speech.answers import answers_in, evidence_in
from kallyai_mcp.calls.speech.confirmation import (
    confirmation_in,
    left_open_in,
    unconfirmed_in,
)
from kallyai_mcp.calls.speech.disclosure import Disclosure, disclosure_in
from kallyai_mcp.calls.speech.machine import SpokeWith, spoke_with
from kallyai_mcp.calls.speech.offers import Moment, Span, closed_in, offer_in, unasked_in
from kallyai_mcp.calls.speech.opt_out import opt_out_in
from kallyai_mcp.calls.speech.sentences import Words
from kallyai_mcp.tools.facets.booking import Asked, day_asked
from kallyai_mcp.tools.submissions import other_times_text, spans_in, wishes_to_confirm
from kallyai_mcp.tools.text.plain import clock, one_line

_LONGEST = 300
"""Characters of one quotation."""

_WITH_EVIDENCE = frozenset({Outcome.ANSWERED, Outcome.FAILED})
_WITH_ANSWERS = _WITH_EVIDENCE.union(BOOKED)
"""The outcomes whose results quote the callee: without questions, and with them. What confirms a
booking is quoted in any case.
"""

_WITHOUT_SPEECH = frozenset({"no_answer", "busy", "canceled", "cancelled"})
"""The statuses of calls that nobody and nothing answered."""


@dataclass(frozen=True)
class Quote:
    """Words of the callee, and when they were said: the time since the call began, as "0:34".

    After a `question`, `quote` is None if nothing answered it; if several turns fit it equally
    well, it has several. `hedged` is True for an answer that says that it is not certain, else
    None.
    """

    question: str | None = None
    quote: str | None = None
    at: str | None = None
    hedged: bool | None = None


@dataclass(frozen=True)
class Speech:
    """What the callee of a call said.

    Attributes:
        evidence: The words that confirm a booking, or may; else those that decided the outcome, if
            there was a booking, or no questions.
        confirms: Whether these words confirm a booking.
        answers: The words after each question.
        is_unanswered: Whether there are questions, and no transcript was read to find answers in.
        has_transcript: False if KallyAI is known to have none.
        is_read: Whether a transcript with words was read.
        may_be_agreed: Whether the report or the callee's words may say that something was agreed.
        offer: The words that offer another day or time: the callee's, or KallyAI's report of them.
        unasked: The other times of the request that nobody named, in its order; none if no
            transcript was read.
        closed: The callee's words that say that it is closed now, or is to be called later.
        unconfirmed_name: The name of a booking, if the callee did not repeat it.
        unconfirmed_wishes: What was asked for besides, and the callee's words do not confirm.
        left_open: The callee's words about these wishes, each with the wish as its `question`;
            not those of `evidence`.
        disclosure: Whether KallyAI said that it is an AI; None without a transcript.
        spoke_with: Who spoke in place of the callee; None without a transcript.
        machine: The first words that show a machine, if only machines spoke.
        opt_out: The callee's first words that ask not to be called again.
    """

    evidence: Quote | None = None
    confirms: bool = False
    answers: tuple[Quote, ...] = ()
    is_unanswered: bool = False
    has_transcript: bool = True
    is_read: bool = False
    may_be_agreed: bool = False
    offer: Quote | None = None
    unasked: tuple[Span, ...] = ()
    closed: Quote | None = None
    unconfirmed_name: str | None = None
    unconfirmed_wishes: tuple[str, ...] = ()
    left_open: tuple[Quote, ...] = ()
    disclosure: Disclosure | None = None
    spoke_with: SpokeWith | None = None
    machine: Quote | None = None
    opt_out: Quote | None = None


@dataclass(frozen=True)
class Answered:
    """The numbers of questions, from 1, and the same words that answer each of them; several if
    they fit equally well, and one without a quote if nothing answered it.
    """

    numbers: tuple[int, ...]
    quotes: tuple[Quote, ...]


def answers_once(answers: Sequence[Quote]) -> list[Answered]:
    """The answers to questions, each once, also if it answers several of them."""
    numbers: dict[tuple[Quote, ...], tuple[int, ...]] = {}
    by_question = groupby(answers, lambda one: one.question or "")
    for number, (_, quotes) in enumerate(by_question, 1):
        said = tuple(replace(one, question=None) for one in quotes)
        numbers[said] = (*numbers.get(said, ()), number)
    return [Answered(of, said) for said, of in numbers.items()]


NOT_NEEDED = Speech()
"""What is known of a call that has no transcript, because it has not ended or nobody answered."""


def may_have_transcript(call: Call, outcome: Outcome | None) -> bool:
    """Whether a call has ended in which something may have been said."""
    return outcome is not None and call.plain_status not in _WITHOUT_SPEECH


def speech_of(asked: Asked, call: Call, transcript: Transcript, outcome: Outcome | None) -> Speech:
    """What was said in a call, as far as its outcome lets the result quote it."""
    if not transcript.entries:
        return unread_speech(asked, call, outcome, has_transcript=True)
    line = spoke_with(transcript)
    return replace(
        _quoted(_next_step(asked, call, transcript), asked, call, transcript, outcome),
        is_read=True,
        unasked=unasked_in(transcript, spans_in(other_times_text(asked))),
        closed=_of_callee(closed_in(transcript)),
        disclosure=_disclosure(transcript),
        spoke_with=line.spoke_with,
        machine=_of_callee(line.words),
        opt_out=_of_callee(opt_out_in(transcript)),
    )


def unread_speech(
    asked: Asked, call: Call, outcome: Outcome | None, *, has_transcript: bool
) -> Speech:
    """What is known of such a call without its transcript."""
    is_asked = bool(questions_in(asked)) and outcome in _WITH_ANSWERS
    next_step = _next_step(asked, call, NOTHING_SAID)
    return replace(next_step, is_unanswered=is_asked, has_transcript=has_transcript)


def _next_step(asked: Asked, call: Call, transcript: Transcript) -> Speech:
    """What decides how a call may be followed, which KallyAI's report may tell."""
    return Speech(
        may_be_agreed=may_be_agreed(call, transcript),
        offer=_of_callee(offer_in(transcript, _report(call), _moment(asked))),
    )


def _report(call: Call) -> str:
    return call.highlights or ""


def _quoted(
    speech: Speech, asked: Asked, call: Call, transcript: Transcript, outcome: Outcome | None
) -> Speech:
    """The same with the callee's words: after questions the answers, else those that decided the
    outcome.
    """
    questions = questions_in(asked)
    answers: tuple[Quote, ...] = ()
    if questions and outcome in _WITH_ANSWERS:
        answers = _answers_to(questions, transcript)
    if outcome in BOOKED:
        return _of_booking(speech, asked, call, transcript, answers)
    if not questions and outcome in _WITH_EVIDENCE:
        return replace(speech, evidence=_of_callee(evidence_in(transcript, _report(call))))
    if outcome is Outcome.ANSWERED and speech.may_be_agreed:
        confirmation = _of_callee(confirmation_in(transcript, _report(call)))
        return replace(speech, evidence=confirmation, answers=answers)
    return replace(speech, answers=answers)


def _of_booking(
    speech: Speech, asked: Asked, call: Call, transcript: Transcript, answers: tuple[Quote, ...]
) -> Speech:
    """The same with the words that confirm a booking, and what they leave out."""
    wishes = unconfirmed_in(transcript, wishes_to_confirm(asked))
    names = tuple(filter(None, [asked.user_name]))
    confirmation = confirmation_in(transcript, _report(call))
    evidence = confirmation or evidence_in(transcript, _report(call))
    return replace(
        speech,
        evidence=_of_callee(evidence),
        confirms=confirmation is not None,
        answers=answers,
        unconfirmed_name=next(iter(unconfirmed_in(transcript, names)), None),
        unconfirmed_wishes=wishes,
        left_open=tuple(_left_open(wishes, transcript, evidence)),
    )


def _left_open(
    wishes: Sequence[str], transcript: Transcript, evidence: Words | None
) -> Iterator[Quote]:
    """What the callee said about each of the wishes, if anything but the evidence."""
    for wish in wishes:
        words = left_open_in(transcript, wish)
        if words not in (None, evidence):
            yield _quote(wish, words.quote, words.at)


def _moment(asked: Asked) -> Moment:
    """The day and the time that were asked for, as far as they can be read."""
    day = None
    with suppress(ValueError):
        day = date.fromisoformat(day_asked(asked) or "")
    return Moment(day, time_of_day(asked.appointment_time))


def _disclosure(transcript: Transcript) -> Disclosure:
    """Whether KallyAI said that it is an AI, with its words as a result shows them."""
    found = disclosure_in(transcript)
    if found.quote is None:
        return found
    return Disclosure(found.said, one_line(found.quote, _LONGEST), clock(found.at) or None)


def _of_callee(words: Words | None) -> Quote | None:
    return _quote(None, words.quote, words.at) if words is not None else None


def _answers_to(questions: Sequence[str], transcript: Transcript) -> tuple[Quote, ...]:
    answers: list[Quote] = []
    for question in questions:
        answers += _answers(question, transcript)
    return tuple(answers)


def _answers(question: str, transcript: Transcript) -> Sequence[Quote]:
    """The callee's words after the turns that ask a question best; of the same words, the last."""
    quotes = [
        replace(_quote(question, one.quote, one.at), hedged=one.hedged or None)
        for one in answers_in(transcript, question)
    ]
    by_words = {one.quote: one for one in quotes}
    return list(by_words.values()) or [Quote(question, None, None)]


def _quote(question: str | None, words: str, at: str | None) -> Quote:
    return Quote(question, one_line(words, _LONGEST), clock(at) or None)
