"""Texts about a list of call_around: its result, a line for each candidate, and what to do next."""

from collections.abc import Sequence

from kallyai_mcp.api.errors import QuotaExceededError
from kallyai_mcp.api.models import Statistics
from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.tools.call_view import BOOKED, CallView
from kallyai_mcp.tools.instructions import questions_in
from kallyai_mcp.tools.text.calls import SAY as SAY_OF_CALLS
from kallyai_mcp.tools.text.calls import answered, booked_time, offer_not_accepted, suggested, they_said
from kallyai_mcp.tools.text.errors import quota_facts, what_happened
from kallyai_mcp.tools.text.listing import NOT_LOOKED_UP, reason, state_in_words
from kallyai_mcp.tools.text.plain import Party, call_id, party_of, quoted, sentence, word
from kallyai_mcp.tools.text.times import Reader, when

_SAID = 300
"""Characters of each of KallyAI's texts in a row; a list may have ten."""

_SAY = {
    "booked": "Booked: {party}. Nobody else is called.",
    "answered": "Answered: {party}. Nobody else is called.",
    "done": "Done: {called} called.",
    "done_asked": "Done: {called} called. Each was only asked; nothing was to be booked.",
    "done_unbooked": "Nothing shows a booking: {called} called.",
    "done_booked": "Done: {called} called, and there is a booking below.",
    "booked_other_time": (
        "Booked for another time: {party}. Tell the user now and ask if that works. Nobody else is called."
    ),
    "other_time": "Decide first: {party} booked another time than asked. Ask the user now if that works.",
    "go_on_after_other_time": (
        'If it does not work: make_call with changes_call_id "{id}" to have it canceled, then call_around with the '
        'same arguments and continue_after "{id}".'
    ),
    "needs_decision": "Decide first: {party} answered, and KallyAI's calendar has no event for the call.",
    "unread": "Decide first: {party} answered; no calendar file shows whether something was booked.",
    "broken": (
        "Decide first: the call to {party} broke off, and somebody may have agreed to something. Read get_transcript."
    ),
    "unknown": "Stopped: {party} may have been called, and how that ended is not known. get_call looks again.",
    "found_unreached": (
        "Stopped: whether {party} was called was not known at first; nobody was reached. call_around with the same "
        "arguments goes on."
    ),
    "go_on": 'To call the next one: call_around with the same arguments and continue_after "{id}".',
    "go_on_by_itself": 'With if_answered "continue" too, it does not stop at such calls.',
    "questions": "Questions: {questions}",
    "needs_sign_in": "Stopped: not signed in to KallyAI. After sign_in, call_around with the same arguments goes on.",
    "refused": (
        "Stopped: the next call may not be placed now: {why}. call_around with the same arguments goes on later."
    ),
    "no_quota": "Stopped: {why} After that, call_around with the same arguments goes on.",
    "canceled": "Canceled: nobody else is called.",
    "others": "If the user wants the others after all: call_around with those alone.",
    "in_progress": ("In progress: {party}, {number} of {count}. It continues without you; do not call them yourself."),
    "next": 'Next: get_call with call_id "{id}" and wait_seconds {wait:g}; cancel_call stops the list.',
    "again": "Asked for before; nothing was placed twice. ",
    "cannot_hang_up": "The call in progress can't be hung up.",
    "over": "Nothing to cancel: the list is over.",
}

_WITHOUT_BOOKING = ("needs_decision", "done_unbooked")
"""The sentences after which the result says why KallyAI accepted no other time."""

_WAITING = ("needs_decision", "unread", "broken", "other_time", "unknown")
"""The sentences after which the user decides whether the list goes on."""


def call_list(
    found: CallList,
    reader: Reader,
    views: Sequence[CallView],
    *,
    is_duplicate: bool = False,
    usage: Statistics | None = None,
) -> str:
    """The result of a list in its present state; with `is_duplicate`, the same list was asked for before.

    `views` are its calls. `usage` are the account's statistics; they count if the quota has stopped the list.
    """
    last = CallView.of_record(found.records[-1]) if found.records else None
    key, error = _key(found, last), quota_error(found)
    why = quota_facts(error, usage, now=reader.now) if error is not None else _refusal(found)
    party = party_of(last.submission if last is not None else found.submissions[0])
    called = sum(record.call is not None for record in found.records)
    first = _SAY[key].format(party=party, called=called, why=why, **_position(found))
    lines = [f"{_SAY['again'] if is_duplicate else ''}{first}"]
    questions = questions_in(found.submissions[0])
    if questions and found.records:
        numbered = " ".join(f"{n}. {quoted(question, 200)}" for n, question in enumerate(questions, 1))
        lines.append(_SAY["questions"].format(questions=numbered))
    lines += [f"{n}. {_row(view, reader)}" for n, view in enumerate(views, 1)]
    lines += [NOT_LOOKED_UP] if any(view.is_calendar_unread for view in views) else []
    lines += list(filter(None, map(offer_not_accepted, views)))[:1] if key in _WITHOUT_BOOKING else []
    waiting = found.not_called if found.records or found.stop_reason is not None else found.not_called[1:]
    lines += [_not_called(found, [str(party_of(submission)) for submission in waiting])] if waiting else []
    if found.stop_reason is StopReason.CANCELED and is_duplicate and found.not_called:
        lines.append(_SAY["others"])
    if found.stop_reason is None:
        lines.append(_SAY["next"].format(id=found.list_id, wait=reader.wait_seconds))
    elif found.waits_for_user and last is not None and key in _WAITING:
        advice = "go_on_after_other_time" if key == "other_time" else "go_on"
        lines.append(_SAY[advice].format(id=last.call_id or found.records[-1].tracking_id))
        lines[-1] += f" {_SAY['go_on_by_itself']}" if key == "needs_decision" and not found.goes_on_if_answered else ""
    return "\n".join(lines)


def list_canceled(found: CallList) -> str:
    """The text about a list that was canceled, or that was over already."""
    if found.stop_reason is not StopReason.CANCELED:
        return _SAY["over"]
    texts = [_SAY["canceled"]]
    texts += [_not_called(found, [str(party_of(submission)) for submission in found.not_called])]
    texts += [_SAY["cannot_hang_up"]] if found.is_calling else []
    return " ".join(filter(None, texts))


def listed(found: CallList, reader: Reader) -> str:
    """A list above a listing of calls, which has its calls."""
    state = found.stop_reason.replace("_", " ") if found.stop_reason is not None else "in progress"
    position = "{number} of {count}".format(**_position(found))
    row = f"{when(found.asked_at, reader)}  call_around: {state}, {position}  {word(found.list_id)}"
    waiting = [party_of(submission).in_row() for submission in found.not_called]
    return f"{row}\n  {_not_called(found, waiting)}" if waiting else row


def calling(found: CallList) -> str:
    """The candidate that is being called, for a progress message: "Italian Bistro (+1 415-555-1234), 2 of 3"."""
    return "{party}, {number} of {count}".format(party=_called_now(found), **_position(found))


def _position(found: CallList) -> dict[str, int]:
    return {"number": max(1, len(found.records)), "count": len(found.submissions)}


def _called_now(found: CallList) -> Party:
    return party_of(found.submissions[max(1, len(found.records)) - 1])


def _not_called(found: CallList, parties: Sequence[str]) -> str:
    """Who was not called; "" for nobody."""
    yet = " yet" if found.stop_reason is None else ""
    return f"Not called{yet}: {'; '.join(parties)}." if parties else ""


def _row(view: CallView, reader: Reader) -> str:
    call, record, said, reported = view.call, view.record, view.said, ""
    if call is not None and call.highlights:
        reported = f" KallyAI: {quoted(sentence(call.highlights), _SAID)}"
    if said.evidence is not None:
        reported += f" {they_said(said.evidence)}"
    if said.missing:
        reported += f" {SAY_OF_CALLS[said.missing]}"
    reported += "".join(f" {n}. {answered(one)}" for n, one in enumerate(said.answers, 1))
    if suggestion := suggested(view, _SAID):
        reported += f" {suggestion}"
    why = reason(call.plain_status) if call is not None else ""
    if record is not None and record.state is CallState.REFUSED and record.error is not None:
        why = what_happened(record.error)
    facts = ", ".join(filter(None, (state_in_words(view), why, booked_time(view, reader))))
    id_ = view.call_id or (record.tracking_id if record is not None and record.state is not CallState.REFUSED else None)
    return f"{party_of(view.submission)}: {facts}.{reported}{f' {call_id(id_)}' if id_ else ''}"


def _key(found: CallList, last: CallView | None) -> str:
    """The key of the first sentence about a list, whose `last` call decides how it goes on."""
    why = found.stop_reason
    if why is None:
        return "in_progress"
    if found.was_found_unreached:
        return "found_unreached"
    if quota_error(found) is not None:
        return "no_quota"
    if why in (StopReason.BOOKED, StopReason.NEEDS_DECISION) and last is not None:
        if last.outcome is Outcome.BOOKED_OTHER_TIME:
            return "booked_other_time" if why is StopReason.BOOKED else "other_time"
        if why is StopReason.NEEDS_DECISION:
            answered_key = "unread" if last.is_calendar_unread else "needs_decision"
            return answered_key if last.outcome is Outcome.ANSWERED else "broken"
    if why is not StopReason.DONE:
        return why.value
    if any(record.outcome in BOOKED for record in found.records):
        return "done_booked"
    return {"booked": "done_unbooked", "all": "done_asked"}.get(found.until, "done")


def quota_error(found: CallList) -> QuotaExceededError | None:
    """The error with which KallyAI refused the last call of a list because of the quota; None if it did not."""
    error = found.records[-1].error if found.was_refused else None
    return error if found.stop_reason is StopReason.REFUSED and isinstance(error, QuotaExceededError) else None


def _refusal(found: CallList) -> str:
    error = found.refusal or (found.records[-1].error if found.was_refused else None)
    return what_happened(error) if error is not None else "the list was asked for long ago"
