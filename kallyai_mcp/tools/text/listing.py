"""The text of list_calls: one line for each call."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.text.calls import begins, party_of, thing, with_place
from kallyai_mcp.tools.text.plain import call_id, duration, quoted, say_from, zone_of
from kallyai_mcp.tools.text.reader import Reader
from kallyai_mcp.tools.text.scheduled import due
from kallyai_mcp.tools.text.times import day, hour, when

_WIDE, _NARROW = 60, 24
"""Characters of KallyAI's words in a line: of a short list, and of a long list, which must not cost many tokens."""

_SHORT_LIST = 10
"""A list with more calls is long."""

_REASONS = {
    "no_answer": ("no answer", "no contestaron"),
    "busy": ("busy", "línea ocupada"),
    "voicemail": ("voicemail", "buzón de voz"),
    "terminated": ("ended early", "terminada antes de tiempo"),
}

_STATES = {
    Outcome.BOOKED: ("booked", "reservado"),
    Outcome.BOOKED_OTHER_TIME: ("booked for another time", "reservado para otro momento"),
    Outcome.ANSWERED: ("answered", "contestaron"),
    Outcome.NOT_REACHED: ("not reached", "sin contacto"),
    Outcome.FAILED: ("failed", "fallida"),
    Outcome.CANCELED: ("canceled", "cancelada"),
    Outcome.UNKNOWN: ("unknown", "resultado desconocido"),
}

_NOT_PLACED = {
    CallState.SCHEDULED: ("scheduled", "programada"),
    CallState.EXPIRED: ("expired", "caducada"),
    CallState.REFUSED: ("not called", "no se llamó"),
    CallState.CANCELED: ("canceled", "cancelada"),
}

_SENTENCES = {
    "none": ("No calls yet. make_call places one.", "Todavía no hay llamadas. make_call hace una."),
    "no_ledger": (
        "This program's record of calls can't be read now, so calls in progress and bookings may be missing here.",
        "El registro de llamadas de este programa no se puede leer ahora, así que aquí pueden faltar llamadas en curso "
        "y reservas.",
    ),
    "none_after": ("No calls after the first {offset}.", "No hay llamadas después de las primeras {offset}."),
    "no_other": ("No other calls.", "No hay otras llamadas."),
    "count_1": ("1 call, newest first{page}. Times are yours.", "1 llamada{page}. Las horas son las tuyas."),
    "count": (
        "{total} calls, newest first{page}. Times are yours.",
        "{total} llamadas, de la más reciente a la más antigua{page}. Las horas son las tuyas.",
    ),
    "calls": (
        "Calls, newest first{page}. Times are yours.",
        "Llamadas, de la más reciente a la más antigua{page}. Las horas son las tuyas.",
    ),
    "unsettled": (
        "The calls above have no outcome yet: follow them with get_call, do not place them again.",
        "Las llamadas de arriba aún no tienen resultado: síguelas con get_call, no las repitas.",
    ),
    "not_looked_up": (
        "answered*: whether it booked something is not known here; get_call looks it up.",
        "contestaron*: aquí no se sabe si se reservó algo; get_call lo comprueba.",
    ),
    "more": ("More: offset={seen}.", "Más: offset={seen}."),
    "in_progress": ("in progress", "en curso"),
    "may_have": ("may have been called", "quizá se llamó"),
    "due": ("due {moment}", "prevista {moment}"),
    "so_far": ("{duration} so far", "lleva {duration}"),
}

_say = partial(say_from, _SENTENCES)


def reason(status: str, *, spanish: bool = False) -> str:
    """What a status says in addition to the outcome: "busy"; "" if it says nothing more."""
    return _REASONS.get(status, ("", ""))[spanish]


def not_looked_up(*, spanish: bool) -> str:
    """The line that explains the asterisk of `state_in_words`."""
    return _say("not_looked_up", spanish)


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
    """A page of calls as a text.

    First come lists of call_around and the calls without an outcome. Then comes a line for each call, newest first, and
    at the end how to get the next page.

    Args:
        views: The page of calls.
        reader: Who reads the text.
        total: How many calls there are; None if KallyAI doesn't report it.
        offset: How many calls come before this page.
        seen: How many calls there are up to the end of this page.
        more: There is another page.
        lists: The lines about lists of call_around.
        unsettled: The calls without an outcome, except those of `lists`.
        is_ledger_read: The ledger was read; if not, the text says what may be missing.
    """
    say = partial(_say, spanish=reader.spanish)
    if not views and not unsettled and not lists and is_ledger_read:
        return say("none_after", offset=offset) if offset else say("none")
    room = _WIDE if len(views) <= _SHORT_LIST else _NARROW
    lines = [] if is_ledger_read else [say("no_ledger")]
    lines += [*lists, *(_row(view, reader, room) for view in unsettled)]
    lines += [say("unsettled")] if unsettled else []
    if views:
        is_everything = offset == 0 and seen == total
        page = "" if is_everything else f" ({offset + 1}–{seen})"  # noqa: RUF001 - a dash between numbers
        lines.append(say("calls" if total is None else "count_1" if total == 1 else "count", total=total, page=page))
    else:
        lines.append(say("none_after", offset=offset) if offset else say("no_other"))
    lines += [_row(view, reader, room) for view in views]
    lines += [not_looked_up(spanish=reader.spanish)] if any(view.is_calendar_unread for view in views) else []
    return "\n".join([*lines, say("more", seen=seen)] if more else lines)


def _row(view: CallView, reader: Reader, room: int) -> str:
    call, record, spanish = view.call, view.record, reader.spanish
    began = (call.created_at if call is not None else None) or (record.placed_at if record is not None else None)
    phone, zone = view.submission.respondent_phone, zone_of(reader.timezone)
    at = when(began, zone, reader.now, spanish=spanish, number=phone) if began is not None else "?"
    id_ = view.call_id or (record.tracking_id if record is not None else "")
    if record is not None and view.outcome in (None, Outcome.UNKNOWN) and call is None:
        id_ = record.tracking_id
    who = party_of(view.submission, spanish=spanish).in_row(24 if room == _WIDE else 16)
    parts = (at, state_in_words(view, spanish), who, _detail(view, reader, room), call_id(id_))
    return "  ".join(part for part in parts if part)


def state_in_words(view: CallView, spanish: bool) -> str:
    """How a call ended, or how far it is: "not reached". "answered*": whether it booked something was not checked."""
    call = view.call
    if view.outcome is None and view.record is not None and not view.record.is_active:
        return _NOT_PLACED[view.record.state][spanish]
    if view.outcome is None:
        is_known = call is None or call.plain_status in call.IN_PROGRESS
        return _say("in_progress", spanish) if is_known or call is None else quoted(call.status, 24)
    if view.outcome is Outcome.UNKNOWN and call is not None:
        return quoted(call.status, 24)
    return f"{_STATES[view.outcome][spanish]}{'*' if view.is_calendar_unread else ''}"


def _detail(view: CallView, reader: Reader, room: int) -> str:
    call, record, spanish = view.call, view.record, reader.spanish
    if view.appointment is not None:
        what = thing(view, spanish=spanish) if room == _WIDE else ""
        return ", ".join(filter(None, (what, _time(view, reader))))
    if call is not None:
        said = quoted(call.highlights, room) if call.highlights else ""
        return reason(call.plain_status, spanish=spanish) or said
    if view.outcome is Outcome.UNKNOWN:
        return _say("may_have", spanish)
    if record is None:
        return ""
    if record.schedule.not_before is not None and not record.is_active:
        moment = due(record.schedule, record.submission.respondent_phone, record.timezone, reader)
        return _say("due", spanish, moment=moment)
    return _say("so_far", spanish, duration=duration(record.elapsed(reader.now)))


def _time(view: CallView, reader: Reader) -> str:
    """When the appointment begins: "Jan 28, 7:00 PM"; as `booked_time` says it."""
    local, number, spanish = begins(view), view.submission.respondent_phone, reader.spanish
    if local is None:
        return ""
    clock = hour(local.hour, local.minute, spanish=spanish, number=number) if isinstance(local, datetime) else ""
    text = ", ".join(filter(None, (day(local, reader.now, spanish=spanish), clock)))
    return with_place(text, local, view, reader)
