"""The text of list_calls: one line for each call."""

from collections.abc import Sequence
from datetime import datetime

from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.text.calls import begins, party_of, thing, with_place
from kallyai_mcp.tools.text.plain import call_id, duration, quoted
from kallyai_mcp.tools.text.times import Reader, day, hour, when
from kallyai_mcp.tools.text.words import Words

_WIDE, _NARROW = 60, 24
"""Characters of KallyAI's words in a line: of a short list, and of a long list, which must not cost many tokens."""

_SHORT_LIST = 10
"""A list with more calls is long."""

_REASONS = {"no_answer": "no answer", "busy": "busy", "voicemail": "voicemail", "terminated": "ended early"}

_NOT_PLACED = {
    CallState.SCHEDULED: "scheduled",
    CallState.EXPIRED: "expired",
    CallState.REFUSED: "not called",
    CallState.CANCELED: "canceled",
}

_SAY = {
    "none": "No calls yet. make_call places one.",
    "none_after": "No calls after the first {offset}.",
    "no_other": "No other calls.",
    "count": "{calls}, newest first{page}. Times are yours.",
    "unsettled": "The calls above have no outcome yet: follow them with get_call, do not place them again.",
    "more": "More: offset={seen}.",
}

NO_LEDGER = "This program's record of calls can't be read now, so calls in progress and bookings may be missing here."

NOT_LOOKED_UP = "answered*: whether it booked something is not known here; get_call looks it up."
"""Explains the asterisk of `state_in_words`."""


def reason(status: str) -> str:
    """What a status says in addition to the outcome: "busy"; "" if it says nothing more."""
    return _REASONS.get(status, "")


def listing(
    views: Sequence[CallView],
    reader: Reader,
    *,
    total: int | None,
    offset: int,
    seen: int,
    more: bool,
    lists: Sequence[str] = (),
    unsettled: Sequence[CallView] = (),
    is_ledger_read: bool = True,
) -> str:
    """A page of calls: lists of call_around, calls without an outcome, a line for each call, and the next page.

    `offset` calls come before this page, and `seen` calls up to its end, of `total` (None if it is not known).
    `lists` are the lines about lists, and `unsettled` the other calls without an outcome. If the ledger was not read,
    the text says what may be missing.
    """
    none = _SAY["none_after"].format(offset=offset) if offset else ""
    if not views and not unsettled and not lists and is_ledger_read:
        return none or _SAY["none"]
    room = _WIDE if len(views) <= _SHORT_LIST else _NARROW
    lines = [] if is_ledger_read else [NO_LEDGER]
    lines += [*lists, *(_row(view, reader, room) for view in unsettled)]
    lines += [_SAY["unsettled"]] if unsettled else []
    if views:
        page = "" if offset == 0 and seen == total else f" ({offset + 1}–{seen})"  # noqa: RUF001 - a dash between numbers
        calls = "Calls" if total is None else "1 call" if total == 1 else f"{total} calls"
        lines.append(_SAY["count"].format(calls=calls, page=page))
    else:
        lines.append(none or _SAY["no_other"])
    lines += [_row(view, reader, room) for view in views]
    lines += [NOT_LOOKED_UP] if any(view.is_calendar_unread for view in views) else []
    return "\n".join([*lines, _SAY["more"].format(seen=seen)] if more else lines)


def _row(view: CallView, reader: Reader, room: int) -> str:
    call, record = view.call, view.record
    began = (call.created_at if call is not None else None) or (record.placed_at if record is not None else None)
    at = when(began, reader) if began is not None else "?"
    id_ = view.call_id or (record.tracking_id if record is not None else "")
    if record is not None and view.outcome in (None, Outcome.UNKNOWN) and call is None:
        id_ = record.tracking_id
    who = party_of(view.submission).in_row(24 if room == _WIDE else 16)
    return "  ".join(filter(None, (at, state_in_words(view), who, _detail(view, reader, room), call_id(id_))))


def state_in_words(view: CallView) -> str:
    """How a call ended, or how far it is: "not reached". "answered*": whether it booked something was not checked."""
    call = view.call
    if view.outcome is None and view.record is not None and not view.record.is_active:
        return _NOT_PLACED[view.record.state]
    if view.outcome is None:
        return "in progress" if call is None or call.plain_status in call.IN_PROGRESS else quoted(call.status, 24)
    if view.outcome is Outcome.UNKNOWN and call is not None:
        return quoted(call.status, 24)
    words = "booked for another time" if view.outcome is Outcome.BOOKED_OTHER_TIME else view.outcome.replace("_", " ")
    return f"{words}{'*' if view.is_calendar_unread else ''}"


def _detail(view: CallView, reader: Reader, room: int) -> str:
    call, record = view.call, view.record
    if view.appointment is not None:
        return ", ".join(filter(None, (thing(view) if room == _WIDE else "", _time(view, reader))))
    if call is not None:
        return reason(call.plain_status) or (quoted(call.highlights, room) if call.highlights else "")
    if view.outcome is Outcome.UNKNOWN:
        return "may have been called"
    if record is None:
        return ""
    if record.schedule.not_before is not None and not record.is_active:
        return f"due {Words().due(record.schedule, record.submission.respondent_phone, record.timezone, reader)}"
    return f"{duration(record.elapsed(reader.now))} so far"


def _time(view: CallView, reader: Reader) -> str:
    """When the appointment begins: "Jan 28, 7:00 PM"; as `booked_time` says it."""
    local = begins(view)
    if local is None:
        return ""
    clock = f", {hour(local.hour, local.minute)}" if isinstance(local, datetime) else ""
    return with_place(f"{day(local, reader.now)}{clock}", local, view, reader)
