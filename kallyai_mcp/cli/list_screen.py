"""What a person is shown about a list of calls: how far it is, and what each callee said."""

from collections.abc import Iterator, Sequence

from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.instructions import questions_in
from kallyai_mcp.calls.numbers import for_people
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.cli.screen import Fact, Screen, Tone
from kallyai_mcp.cli.service import Service
from kallyai_mcp.cli.short_id import short_id
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.speech import Answered, Quote, answers_once
from kallyai_mcp.tools.text.answer_table import has_quotation, tells_report
from kallyai_mcp.tools.text.calendar import booked_time
from kallyai_mcp.tools.text.calls import reason, state_in_words
from kallyai_mcp.tools.text.plain import Reader, one_line, quoted, sentence
from kallyai_mcp.tools.text.report import answer_of

_SAID = 120
"""Characters of what was said, beside the name of a callee."""

_HEADLINES = {
    None: (Tone.RUNNING, "In progress"),
    StopReason.BOOKED: (Tone.GOOD, "Booked"),
    StopReason.ANSWERED: (Tone.TALKED, "Answered"),
    StopReason.DONE: (Tone.TALKED, "All were called"),
    StopReason.NEEDS_DECISION: (Tone.UNSURE, "Needs your decision"),
    StopReason.UNKNOWN: (Tone.UNSURE, "Stopped, not known how a call ended"),
    StopReason.NEEDS_SIGN_IN: (Tone.BAD, "Stopped, not signed in"),
    StopReason.REFUSED: (Tone.BAD, "Stopped, no call may be placed now"),
    StopReason.CANCELED: (Tone.MISSED, "Canceled"),
}


def list_screen(
    found: CallList, views: Sequence[CallView], reader: Reader, service: Service
) -> Screen:
    """A list of calls: how far it is or why it stopped, what was asked, and what came of each
    call.
    """
    tone, headline = _HEADLINES[found.stop_reason]
    called = sum(view.outcome is not None for view in views)
    details = [f"{called} of {len(found.submissions)} called"]
    if found.unread:
        details.append(f"{found.unread} not readable here")
    facts = [*_questions(found)]
    for view in views:
        facts += _callee(view, reader)
    facts += [
        Fact(one_line(one.business_name or for_people(one.respondent_phone), 40), "not called")
        for one in found.not_called
    ]
    return Screen(
        tone,
        headline,
        details,
        facts,
        steps=tuple(_steps(found, views, service)),
        is_simulated=service.is_simulated,
    )


def _questions(found: CallList) -> Iterator[Fact]:
    """What was asked; if there are several questions, with the numbers that the answers have."""
    questions = questions_in(found.submissions[0])
    for number, question in enumerate(questions, 1):
        label = "Question" if len(questions) == 1 else f"Question {number}"
        yield Fact(label, one_line(question, 200))


def _callee(view: CallView, reader: Reader) -> Iterator[Fact]:
    """A call of a list: who, how it ended, and the words that say why. The name stands once."""
    number = for_people(view.number)
    label = one_line(view.callee_name or number, 40)
    for fact in (*_end(view, reader), *_said(view)):
        yield Fact(label, fact.text, fact.at)
        label = ""


def _end(view: CallView, reader: Reader) -> Iterator[Fact]:
    """How a call ended, unless the answers show it."""
    state = state_in_words(view).rstrip("*")
    if state == Outcome.ANSWERED and has_quotation(view):
        return
    facts = (state, reason(view), booked_time(view, reader))
    yield Fact("", ", ".join(filter(None, facts)))


def _said(view: CallView) -> Iterator[Fact]:
    """The callee's words, or else KallyAI's report."""
    if view.evidence is not None:
        yield _quotation(view.evidence)
    has_numbers = len(questions_in(view.submission)) > 1
    for one in answers_once(view.speech.answers):
        yield from _answer(one, has_numbers=has_numbers)
    if view.report and tells_report(view):
        yield Fact("", f"KallyAI: {quoted(sentence(answer_of(view)), _SAID)}")


def _answer(one: Answered, *, has_numbers: bool) -> Iterator[Fact]:
    numbers = f"{', '.join(map(str, one.numbers))}  " if has_numbers else ""
    for quote in one.quotes:
        yield _quotation(quote, numbers)


def _quotation(words: Quote, numbers: str = "") -> Fact:
    """Words of the callee, after the numbers of the questions that they answer."""
    if words.quote is None:
        return Fact("", f"{numbers}not answered in the call")
    doubt = ", not certain" if words.hedged else ""
    return Fact("", f"{numbers}{quoted(words.quote, _SAID)}{doubt}", words.at or "")


def _steps(found: CallList, views: Sequence[CallView], service: Service) -> Iterator[Fact]:
    """Commands for what may come next."""
    if found.stop_reason is None:
        id_ = short_id(found.list_id)
        yield Fact("To follow it", service.command("show", id_))
        yield Fact("To stop it", service.command("cancel", id_))
    for view in views:
        if view.booking.appointment is not None:
            yield Fact("The booking", service.command("show", short_id(view.id)))
