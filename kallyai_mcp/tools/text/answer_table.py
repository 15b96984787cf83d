"""A list in which callees are asked something, as a table: a row for each callee with the answers,
each in a few of their own words, and what was not answered.
"""

from collections import Counter
from collections.abc import Sequence

from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.instructions import questions_in
from kallyai_mcp.calls.outcome import BOOKED, Outcome
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.calls.speech.sentences import LONGEST_QUOTE
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.speech import Answered, Quote, answers_once, may_have_transcript
from kallyai_mcp.tools.text.calendar import booked_time
from kallyai_mcp.tools.text.calls import reason, state_in_words
from kallyai_mcp.tools.text.plain import (
    Reader,
    clock,
    named,
    one_line,
    part,
    party_of,
    quoted,
    sentence,
    word,
)
from kallyai_mcp.tools.text.report import answer_of, opt_out_in

_ANSWER = 80
"""Characters of an answer; a list may have 25 callees with several questions each."""

_REPORT = 200
"""Characters of KallyAI's report, where no words of the callee were found."""

_SAY = {
    "question": "Question: {}",
    "questions": "Questions: {}",
    "not_answered": "not answered",
    "unread": "no transcript can be read now",
    "no_transcript": "KallyAI has no transcript",
    "not_disclosed": "No sentence of KallyAI in the transcript says that it is an AI: {}.",
    "reports": "get_call with the id of a call has KallyAI's report of it.",
}


def is_table(found: CallList) -> bool:
    """Whether the answers of a list are shown as a table."""
    return found.asks_all or bool(_questions(found))


def id_in_row(view: CallView) -> str:
    """The id of a call; "" for one that was refused, whose tracking id leads to nothing."""
    is_refused = view.call_id is None and view.state is CallState.REFUSED
    return "" if is_refused else word(view.id)


def answer_table(found: CallList, views: Sequence[CallView], reader: Reader) -> list[str]:
    """The questions of a list, and a row for each of these calls of it."""
    if not views:
        return []
    names = Counter(_name(view) for view in views)
    silent = [_callee(view, names) for view in views if view.has_not_disclosed]
    lines = [
        _asked(_questions(found)),
        *(_row(view, names, reader) for view in views),
        part(_SAY["not_disclosed"], "; ".join(silent)),
        _SAY["reports"] if any(map(_has_further_report, views)) else "",
    ]
    return list(filter(None, lines))


def _questions(found: CallList) -> tuple[str, ...]:
    return questions_in(found.submissions[0])


def _asked(questions: Sequence[str]) -> str:
    """The questions; if there are several, with the numbers that the answers have."""
    match questions:
        case ():
            return ""
        case (only,):
            return _SAY["question"].format(quoted(only, 200))
    numbered = (f"{number}. {quoted(text, 200)}" for number, text in enumerate(questions, 1))
    return _SAY["questions"].format(" ".join(numbered))


def _row(view: CallView, names: Counter[str], reader: Reader) -> str:
    row = (
        _callee(view, names),
        _end(view, reader),
        opt_out_in(view),
        *_words_of_callee(view),
        *_words_of_kallyai(view),
        id_in_row(view),
    )
    return "  ".join(filter(None, row))


def _name(view: CallView) -> str:
    return named(view.callee_name)


def _callee(view: CallView, names: Counter[str]) -> str:
    """Who was called: the name alone if it says that."""
    name = _name(view)
    return name if name and names[name] == 1 else party_of(view.submission)


def _end(view: CallView, reader: Reader) -> str:
    """How a call ended, unless the answers show it."""
    state = state_in_words(view)
    facts = [state, reason(view), booked_time(view, reader)]
    if state == Outcome.ANSWERED and has_quotation(view):
        facts = []
    if view.speech.is_unanswered:
        facts.append(_SAY["unread" if view.speech.has_transcript else "no_transcript"])
    return ", ".join(filter(None, facts))


def has_quotation(view: CallView) -> bool:
    """Whether the callee's words answer a question, or say what came of the call."""
    answers = view.speech.answers
    return view.evidence is not None or any(one.quote is not None for one in answers)


def _words_of_callee(view: CallView) -> list[str]:
    """What they agreed to, what decided the outcome, and their answers."""
    words = []
    agreed = view.booking.agreed
    if agreed is not None and agreed.at is not None:
        said = Quote(None, one_line(agreed.quote, LONGEST_QUOTE), clock(agreed.at))
        words.append(_said(said))
    if view.evidence is not None:
        words.append(_said(view.evidence))
    return [*words, " ".join(_answers(view))]


def _answers(view: CallView) -> list[str]:
    """Each answer once, with the numbers of its questions, if there are several."""
    found = answers_once(view.speech.answers)
    has_numbers = len(questions_in(view.submission)) > 1
    return [_answer(one, has_numbers=has_numbers) for one in found]


def _answer(one: Answered, *, has_numbers: bool) -> str:
    said = " or ".join(map(_said, one.quotes))
    if has_numbers:
        return f"{', '.join(map(str, one.numbers))}. {said}"
    return said


def _said(words: Quote) -> str:
    """Words of the callee, and when: '(0:21), not certain: "About ninety."'."""
    if words.quote is None:
        return _SAY["not_answered"]
    quote = quoted(words.quote, _ANSWER)
    at = part("({})", words.at)
    if words.hedged:
        return f"{part('{}, ', at)}not certain: {quote}"
    return f"{at} {quote}".lstrip()


def tells_report(view: CallView) -> bool:
    """Whether KallyAI's report is told: where something may have been said, and no words of the
    callee say what came of the call.

    Answers to questions don't say why nothing was booked.
    """
    if not _may_have_said_something(view):
        return False
    if view.is_without_event and view.outcome is Outcome.ANSWERED:
        return view.evidence is None
    return not has_quotation(view)


def _has_further_report(view: CallView) -> bool:
    """Whether KallyAI reports of a conversation what is not told."""
    return _may_have_said_something(view) and bool(view.report) and not tells_report(view)


def _may_have_said_something(view: CallView) -> bool:
    return view.call is not None and may_have_transcript(view.call, view.outcome)


def _words_of_kallyai(view: CallView) -> list[str]:
    """KallyAI's report, if it is told, and what it suggests after a booking."""
    words = []
    if view.report and tells_report(view):
        words.append(f"KallyAI: {quoted(sentence(answer_of(view)), _REPORT)}")
    if view.suggestion and view.outcome in BOOKED:
        words.append(f"KallyAI suggests: {quoted(sentence(view.suggestion), _REPORT)}")
    return words
