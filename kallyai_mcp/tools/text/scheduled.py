"""Texts about a scheduled call, about the attempts of a call that was placed again, and of cancel_call."""

from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.text.plain import party_of, zone_of
from kallyai_mcp.tools.text.times import Reader, at_callee, day_and_hour, with_place
from kallyai_mcp.tools.text.words import Words

_SAY = {
    "scheduled": "Scheduled: {party}, {when}.",
    "duplicate": (
        "Already scheduled, so nothing new was placed: {party}, {when}. To change it: cancel_call, then make_call."
    ),
    "again": "Not reached yet: {party} ({attempts}). Attempt {number} of {count}: {when}.",
    "running": "This program must be running then.",
    "cancel": "tracking_id {id}; cancel_call cancels it.",
    "canceled": "Canceled: {party} will not be called{again}. Nothing else has to be done.",
    "in_progress": (
        "Not canceled: the call to {party} is in progress, and it can't be hung up. It will not be placed again. "
        'get_call "{id}" follows it.'
    ),
    "over": "Not canceled: the call to {party} is over.",
    "over_booked": (
        "Not canceled: the call to {party} is over. What was booked is canceled by another call: make_call with "
        "changes_call_id."
    ),
    "never_placed": "Nothing to cancel: {party} was not called, and will not be.",
}


def scheduled(record: CallRecord, reader: Reader, *, is_duplicate: bool = False) -> str:
    """A call that is due later, or that will be placed again; with `is_duplicate`, it was asked for before."""
    schedule = record.schedule
    key = "duplicate" if is_duplicate else "again" if schedule.earlier else "scheduled"
    first = _SAY[key].format(
        party=party_of(record.submission),
        when=Words().due(schedule, record.submission.respondent_phone, record.timezone, reader),
        attempts=_earlier(record, reader),
        number=schedule.attempt,
        count=schedule.attempts,
    )
    up_to = f" Up to {schedule.attempts} attempts." if schedule.attempts > 1 and key != "again" else ""
    return f"{first}{up_to} {_SAY['running']}\n{_SAY['cancel'].format(id=record.tracking_id)}"


def attempts(record: CallRecord, reader: Reader) -> str:
    """Which attempt a call was, and how the earlier attempts ended; "" if there were none."""
    if not record.schedule.earlier:
        return ""
    number = record.schedule.attempt
    return f"Attempt {number} of {max(number, record.schedule.attempts)}. Before: {_earlier(record, reader)}."


def not_again(record: CallRecord, reader: Reader) -> str:
    """How the earlier attempts of a call ended, if the next attempt was not placed."""
    last = record.schedule.earlier[-1].call_id
    return f'No further attempt: {_earlier(record, reader)}. get_call "{last}" shows the last one.'


def _earlier(record: CallRecord, reader: Reader) -> str:
    """The attempts that reached nobody, by the callee's clock: "busy Wed Nov 25, 9:00 AM; busy …"."""
    number, words = record.submission.respondent_phone, {"busy": "busy", "no_answer": "no answer"}
    attempts_made = []
    for one in record.schedule.earlier:
        at = at_callee(one.at.astimezone(zone_of(record.timezone)), number)
        said = f"{words[one.status]} {day_and_hour(at, reader.now)}"
        attempts_made.append(with_place(said, at, number, record.timezone, reader))
    return "; ".join(attempts_made)


def canceled(record: CallRecord) -> str:
    """The text about a call that was canceled."""
    again = " again" if record.schedule.earlier else ""
    return _SAY["canceled"].format(party=party_of(record.submission), again=again)


def in_progress(view: CallView) -> str:
    """The text about a call that can't be canceled, because it is in progress."""
    id_ = view.record.tracking_id if view.record is not None else view.call_id
    return _SAY["in_progress"].format(party=party_of(view.submission), id=id_)


def over(view: CallView) -> str:
    """The text about a call that can't be canceled, because it is over or was not placed."""
    key = "over_booked" if view.appointment is not None else "over"
    if view.call is None and (view.record is None or view.record.state is not CallState.UNKNOWN):
        key = "never_placed"
    return _SAY[key].format(party=party_of(view.submission))
