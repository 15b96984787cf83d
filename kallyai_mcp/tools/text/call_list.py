"""How a list of calls reads: one line for each."""

from collections.abc import Sequence
from datetime import datetime

from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.text.calls import callee, thing
from kallyai_mcp.tools.text.plain import duration, quoted, word, zone_of
from kallyai_mcp.tools.text.times import day, hour, in_zone, when

_WIDE, _NARROW = 60, 24
"""Characters of KallyAI's words in a line of a short list, and of a long one, which must not cost many tokens."""

_SHORT_LIST = 10

REASONS = {"no_answer": "no answer", "busy": "busy", "voicemail": "voicemail", "terminated": "ended early"}
"""What the outcome does not say of the status."""


def listing(
    views: Sequence[CallView],
    *,
    total: int | None,
    offset: int,
    seen: int,
    more: bool,
    zone_name: str,
    now: datetime,
    unsettled: Sequence[CallView] = (),
) -> str:
    """A line for each call, newest first, and how to get more; above them the calls without an outcome.

    Args:
        views: The page of calls.
        total: How many calls there are; None when KallyAI doesn't say.
        offset: How many calls come before this page.
        seen: How many calls there are up to the end of this page.
        more: There are further pages.
        zone_name: IANA name of the user's time zone.
        now: The present moment, with a time zone.
        unsettled: Our calls without an outcome.
    """
    if not views and not unsettled:
        return f"No calls after the first {offset}." if offset else "No calls yet. make_call places one."
    count = f"{total} call{'' if total == 1 else 's'}" if total is not None else "Calls"
    if not views:
        count = "No other calls" if not offset else f"No calls after the first {offset}"
    is_everything = not views or (offset == 0 and seen == total)
    page = "" if is_everything else f" ({offset + 1}–{seen})"  # noqa: RUF001 - a dash between numbers
    room = _WIDE if len(views) <= _SHORT_LIST else _NARROW
    lines = [_row(view, zone_name, now, room) for view in unsettled]
    if lines:
        lines.append("The calls above have no outcome yet: follow them with get_call, do not place them again.")
    lines.append(f"{count}, newest first{page}. Times are yours." if views else f"{count}.")
    lines += [_row(view, zone_name, now, room) for view in views]
    return "\n".join([*lines, f"More: offset={seen}."] if more else lines)


def _row(view: CallView, zone_name: str, now: datetime, room: int) -> str:
    call, record = view.call, view.record
    began = (call.created_at if call is not None else None) or (record.placed_at if record is not None else None)
    at = when(began, zone_of(zone_name), now) if began is not None else "?"
    id_ = view.call_id or (record.tracking_id if record is not None else "")
    if record is not None and view.outcome in (None, Outcome.UNKNOWN) and call is None:
        id_ = record.tracking_id
    parts = (at, _state(view), callee(view).in_row(24 if room == _WIDE else 16), _detail(view, now, room), word(id_))
    return "  ".join(part for part in parts if part)


def _state(view: CallView) -> str:
    call = view.call
    if view.outcome is None:
        is_known = call is None or call.plain_status in call.IN_PROGRESS
        return "in progress" if is_known or call is None else quoted(call.status, 24)
    if view.outcome is Outcome.UNKNOWN and call is not None:
        return quoted(call.status, 24)
    return view.outcome.replace("_", " ").replace("booked other", "booked for another")


def _detail(view: CallView, now: datetime, room: int) -> str:
    if view.appointment is not None:
        return ", ".join(filter(None, (thing(view, spanish=False) if room == _WIDE else "", _time(view, now))))
    call = view.call
    if call is None:
        if view.outcome is Outcome.UNKNOWN:
            return "may have been called"
        return f"{duration(view.record.elapsed(now))} so far" if view.record is not None else ""
    return REASONS.get(call.plain_status) or (quoted(call.highlights, room) if call.highlights else "")


def _time(view: CallView, now: datetime) -> str:
    """When the appointment begins, by the callee's clock: "Jan 28, 7:00 PM"."""
    start = view.appointment.start if view.appointment is not None else None
    if start is None:
        return ""
    local = in_zone(start, view.zone_name)
    time = f", {hour(local.hour, local.minute)}" if isinstance(local, datetime) else ""
    return f"{day(local, now)}{time}"
