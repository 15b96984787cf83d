"""Texts about a list of call_around: its result, a line for each candidate, and what to do next."""

from collections.abc import Iterable, Sequence
from itertools import filterfalse

from kallyai_mcp.api.errors import KallyAIError, QuotaExceededError
from kallyai_mcp.api.models import Statistics
from kallyai_mcp.calls.call_lists import FOR_USER, CallList, StopReason
from kallyai_mcp.calls.outcome import BOOKED, Outcome
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.text.answer_table import answer_table, id_in_row, is_table
from kallyai_mcp.tools.text.bookings import SAY as SAY_OF_BOOKINGS
from kallyai_mcp.tools.text.bookings import doubt, offer_not_accepted
from kallyai_mcp.tools.text.calendar import booked_time
from kallyai_mcp.tools.text.calls import NOT_LOOKED_UP, asked_before, reason, state_in_words
from kallyai_mcp.tools.text.errors import allowed_again, quota_facts, what_happened, what_to_do
from kallyai_mcp.tools.text.languages import spoken_as_it_is
from kallyai_mcp.tools.text.next_steps import ask_to_confirm
from kallyai_mcp.tools.text.plain import Reader, part, party_of, when, word
from kallyai_mcp.tools.text.report import never_follow, opt_out_in, said_in

_SAID = 300
"""Characters of each of KallyAI's texts in a row; a list may have ten."""

_SAY = {
    "in_progress": (
        "In progress: {party}, {number} of {count}. It continues without you; do not "
        "call them yourself."
    ),
    "several_in_progress": (
        "In progress: {parties}; {called} of {count} called. It continues without you; do not "
        "call them yourself."
    ),
    "waits": (
        "In progress: it waits until calls of another list have ended; {called} of {count} "
        "called. It continues without you; do not call them yourself."
    ),
    "done": "Done: {called} called.",
    "told": "Told before: {}; the last result has all.",
    "unread": (
        "Done: all {count} were called. What became of {unread} of these calls can't be "
        "read "
        "here: list_calls."
    ),
    "unreadable": "What became of the call can't be read here: {}.",
    "stopped_unreadable": "Stopped: how a call ended can't be read here: list_calls.",
    "found": "{state}: {party}. {doubt}Nobody else is called.",
    "decide": "Stopped for the user to decide: {party}, {state}. {doubt}",
    "unknown": (
        "Stopped: {party} may have been called, and how that ended is not known. get_call "
        "looks again."
    ),
    "too_late": "it is past 21:00 for those who were not called, or past the appointment.",
    "no_sign_in": "not signed in to KallyAI; sign_in gives the link.",
    "canceled": (
        "Canceled: nobody else is called; a call in progress goes on, "
        "since KallyAI's API has no way to hang up. If the user wants the others after all: "
        "call_around with those alone; for one: make_call."
    ),
    "go_on_after_other_time": (
        'If it does not work: make_call with changes_call_id "{id}" and change "cancel", then '
        'call_around with the same arguments and continue_after "{id}".'
    ),
    "go_on_later": (
        'To go on: call_around {at}, with the same arguments and continue_after "{id}".'
    ),
    "go_on": 'To call the next one: call_around with the same arguments and continue_after "{id}".',
    "if_answered": (
        'It stops at each answer; with if_answered "continue", it goes on until one books.'
    ),
    "ending": (
        "Nobody else is called, but calls in progress go on: get_call with call_id "
        '"{id}" and wait_seconds {wait:g}.'
    ),
    "next": (
        'Next: get_call with call_id "{id}" and wait_seconds {wait:g}; cancel_call stops the list.'
    ),
}


def call_list(
    found: CallList,
    reader: Reader,
    views: Sequence[CallView],
    *,
    is_duplicate: bool = False,
    is_poll: bool = False,
    usage: Statistics | None = None,
) -> str:
    """The result of a list in its present state, with the `views` of its calls.

    `is_duplicate`: the same list was asked for before. `is_poll`: the agent follows it; while it
    goes on, the text has the calls that were not told yet. `usage` counts if the quota has stopped
    the list.
    """
    last = views[-1] if views else None
    shown = _to_tell(found, views, is_poll=is_poll)
    before = sum(_was_told(view) for view in views if view not in shown)
    lines = [
        asked_before(_state(found, last, usage, reader), is_duplicate=is_duplicate),
        *_rows(found, shown, views, reader),
        never_follow(shown, with_reports=not is_table(found)),
        part(_SAY["told"], before),
        _not_looked_up(shown),
        _offer_not_accepted(found, views),
        _ask_to_confirm(found, last),
        _unreadable(found),
        _not_called_so_far(found),
    ]
    if last is not None:
        lines.append(spoken_as_it_is(last.submission))
    lines.append(_next_step(found, last, reader))
    return "\n".join(filter(None, lines))


def _not_looked_up(shown: Iterable[CallView]) -> str:
    """What the asterisk of a row means; "" if none has one."""
    for view in shown:
        if view.is_calendar_unread:
            return NOT_LOOKED_UP
    return ""


def _to_tell(found: CallList, views: Sequence[CallView], *, is_poll: bool) -> Sequence[CallView]:
    """The calls that have a row: all of a list that has stopped; of one that goes on, those that
    have ended, and for an agent that follows it, those that it was not told yet.
    """
    if found.stop_reason is not None:
        return views
    ended = [view for view in views if not view.is_open]
    if is_poll:
        return list(filterfalse(_was_told, ended))
    return ended


def _was_told(view: CallView) -> bool:
    return view.record is not None and view.record.delivered_at is not None


def _rows(
    found: CallList, shown: Sequence[CallView], views: Sequence[CallView], reader: Reader
) -> list[str]:
    """A row for each call that is `shown`; without questions, with its place among all `views`."""
    if is_table(found):
        return answer_table(found, shown, reader)
    numbered = enumerate(views, 1)
    return [f"{number}. {_row(view, reader)}" for number, view in numbered if view in shown]


def _how_to_go_on(found: CallList, last: CallView, reader: Reader) -> str:
    """How a list goes on that has stopped after its `last` call."""
    id_ = last.id
    if found.next_is_too_late:
        return _SAY["go_on_later"].format(at="by day, or now if the user agrees", id=id_)
    if found.refused:
        return _SAY["go_on_later"].format(at=_retry_at(found, reader), id=id_)
    if last.outcome is Outcome.BOOKED_OTHER_TIME:
        return _SAY["go_on_after_other_time"].format(id=id_)
    go_on = _SAY["go_on"].format(id=id_)
    return f"{go_on} {_SAY['if_answered']}" if _stops_at_any_answer(found, last) else go_on


def _stops_at_any_answer(found: CallList, last: CallView) -> bool:
    """Whether a list for a booking has stopped at an answer without one, and may do so again."""
    is_answer_without_booking = found.until == "booked" and last.outcome is Outcome.ANSWERED
    return is_answer_without_booking and not found.goes_on_if_answered and len(found.not_called) > 1


def listed(found: CallList, reader: Reader) -> str:
    """A list above a listing of calls, which has its calls."""
    state = (found.stop_reason or "in_progress").replace("_", " ")
    row = (
        f"{when(found.asked_at, reader)}  call_around: {state}, {_position(found)}  "
        f"{word(found.list_id)}"
    )
    return "\n  ".join(filter(None, (row, _not_called(found))))


def _position(found: CallList) -> str:
    """How far a list is: "2 of 5" for the second call, "2 of 5 called" where all are asked."""
    count = len(found.submissions)
    if found.asks_all:
        return f"{_called(found)} of {count} called"
    return f"{max(1, len(found.records))} of {count}"


def _called(found: CallList) -> int:
    """How many calls of a list have ended, and were placed or may have been."""
    return sum(record.has_outcome for record in found.records)


def _offer_not_accepted(found: CallList, views: Sequence[CallView]) -> str:
    """Which other times could have been accepted, once a list has stopped without a booking."""
    has_booked = any(view.outcome in BOOKED for view in views)
    if found.stop_reason is None or has_booked:
        return ""
    return next(filter(None, map(offer_not_accepted, views)), "")


def _ask_to_confirm(found: CallList, last: CallView | None) -> str:
    """How to ask about a booking that the `last` call of a stopped list may have made."""
    if last is None or found.stop_reason is None:
        return ""
    return ask_to_confirm(last)


def _next_step(found: CallList, last: CallView | None, reader: Reader) -> str:
    """How a list is followed, or how it goes on after its `last` call."""
    if found.stop_reason is None:
        return _SAY["next"].format(id=found.list_id, wait=reader.wait_seconds)
    if found.asks_all and found.is_calling:
        return _SAY["ending"].format(id=found.list_id, wait=reader.wait_seconds)
    if last is None or not found.may_go_on:
        return ""
    return _how_to_go_on(found, last, reader)


def _state(found: CallList, last: CallView | None, usage: Statistics | None, reader: Reader) -> str:
    """The first sentence about a list, whose `last` call decides how it goes on."""
    if _is_unread(found):
        return _SAY["stopped_unreadable"]
    match found.stop_reason:
        case None:
            return _in_progress(found)
        case StopReason.DONE:
            return _done(found)
        case StopReason.CANCELED:
            return _SAY["canceled"]
        case StopReason.NEEDS_SIGN_IN:
            return f"Stopped: {_SAY['no_sign_in']}"
    if last is None or found.refused or found.stop_reason is StopReason.REFUSED:
        return f"Stopped: {_why_not_placed(found, usage, reader)}"
    return _stopped_after(last, found.stop_reason)


def _is_unread(found: CallList) -> bool:
    """Whether a call has stopped the list that this version can't read."""
    return found.misses_calls or (
        bool(found.unreadable) and found.stop_reason is StopReason.UNKNOWN
    )


def _done(found: CallList) -> str:
    """That all were called, as far as it can be read what became of the calls."""
    if found.unread:
        return _SAY["unread"].format(count=len(found.submissions), unread=found.unread)
    called = sum(record.call is not None for record in found.records)
    return _SAY["done"].format(called=called)


def _in_progress(found: CallList) -> str:
    if found.asks_all:
        parties = "; ".join(party_of(record.submission) for record in found.in_progress)
        key = "several_in_progress" if parties else "waits"
        return _SAY[key].format(
            parties=parties, called=_called(found), count=len(found.submissions)
        )
    number = max(1, len(found.records))
    party = party_of(found.submissions[number - 1])
    return _SAY["in_progress"].format(party=party, number=number, count=len(found.submissions))


def _stopped_after(last: CallView, why: StopReason) -> str:
    """That a list has stopped because of how its last call ended."""
    party = party_of(last.submission)
    state = state_in_words(last).rstrip("*")
    if why is StopReason.UNKNOWN and last.outcome is Outcome.UNKNOWN:
        return _SAY["unknown"].format(party=party)
    if why in FOR_USER:
        return (
            _SAY["decide"].format(party=party, state=state, doubt=_doubt_to_decide(last)).rstrip()
        )
    uncertain = part("{} ", doubt(last))
    return _SAY["found"].format(state=state.capitalize(), party=party, doubt=uncertain)


def _doubt_to_decide(last: CallView) -> str:
    """What is not certain about the call after which the user decides."""
    if last.outcome is Outcome.ANSWERED:
        return doubt(last) or SAY_OF_BOOKINGS["no_event"]
    return doubt(last)


def _why_not_placed(found: CallList, usage: Statistics | None, reader: Reader) -> str:
    """Why the next call of a list was not placed, and what to do unless it may be placed later."""
    if found.next_is_too_late:
        return _SAY["too_late"]
    match _refusal(found):
        case None:
            return "the next call was not placed."
        case QuotaExceededError() as error:
            return quota_facts(error, usage, now=reader.now)
        case KallyAIError(retry_after=None) as error:
            return f"{what_happened(error)}. {what_to_do(error)}."
        case error:
            return f"{what_happened(error)}."


def _refusal(found: CallList) -> KallyAIError | None:
    """Why a call of a list was refused; None if none was."""
    return found.refused[0].error if found.refused else None


def _retry_at(found: CallList, reader: Reader) -> str:
    """When the call that was refused may be tried again: "at 4:07 PM"; "later" if not known."""
    first = found.refused[0]
    if first.error is None:
        return "later"
    return allowed_again(first.error, first.ended_at, reader) or "later"


def _unreadable(found: CallList) -> str:
    """The callees whose calls this version can't read; "" if there are none."""
    theirs = [one for one in found.submissions if one.respondent_phone in found.unreadable]
    return part(_SAY["unreadable"], "; ".join(map(party_of, theirs)))


def _not_called_so_far(found: CallList) -> str:
    """Who was not called; "" while all are asked: then it is said how many were."""
    is_counted = found.asks_all and found.stop_reason is None
    return "" if is_counted else _not_called(found)


def _not_called(found: CallList) -> str:
    """Who was not called; "" for nobody."""
    parties = "; ".join(map(party_of, found.not_called))
    if found.stop_reason is None:
        return part("Not called yet: {}.", parties)
    return part("Not called: {}.", parties)


def _row(view: CallView, reader: Reader) -> str:
    facts = (state_in_words(view), reason(view), booked_time(view, reader))
    first = f"{party_of(view.submission)}: {', '.join(filter(None, facts))}."
    row = [first, opt_out_in(view), *said_in(view, _SAID), id_in_row(view)]
    return " ".join(filter(None, row))
