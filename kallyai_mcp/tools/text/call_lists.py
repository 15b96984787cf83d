"""Texts about a list of call_around: its result, a line for each candidate, and what to do next."""

from collections.abc import Sequence
from functools import partial

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.text.call_words import say
from kallyai_mcp.tools.text.calls import booked_time, party_of
from kallyai_mcp.tools.text.canceling import list_canceled
from kallyai_mcp.tools.text.errors import forbidden
from kallyai_mcp.tools.text.listing import not_looked_up, reason, state_in_words
from kallyai_mcp.tools.text.plain import call_id, quoted, say_from, sentence, word, zone_of
from kallyai_mcp.tools.text.reader import Reader
from kallyai_mcp.tools.text.times import when

_SAID = 300
"""Characters of each of KallyAI's texts in a row; a list may have ten."""

_SENTENCES: dict[str, tuple[str, str]] = {
    "booked": ("Booked: {party}. Nobody else is called.", "Reservado: {party}. No se llama a nadie más."),
    "answered": ("Answered: {party}. Nobody else is called.", "Contestaron: {party}. No se llama a nadie más."),
    "done": ("Done: {count} called.", "Terminado. Llamadas hechas: {count}."),
    "done_unbooked": (
        "Nothing shows a booking: {count} called.",
        "Nada indica una reserva. Llamadas hechas: {count}.",
    ),
    "done_booked": (
        "Done: {count} called, and there is a booking below.",
        "Terminado. Llamadas hechas: {count}. Abajo hay una reserva.",
    ),
    "booked_other_time": (
        "Booked for another time: {party}{when}. Tell the user now and ask if that works. Nobody else is called.",
        "Reservado para otro momento: {party}{when}. Díselo ya al usuario y pregúntale si le va bien. No se llama a "
        "nadie más.",
    ),
    "other_time": (
        "Decide first: {party} booked another time than asked. Ask the user now if that works.",
        "Decide primero: en {party} se reservó para un momento distinto del pedido. Pregunta ya al usuario si le va "
        "bien.",
    ),
    "go_on_after_other_time": (
        "If it does not work: have it canceled there by make_call first, then call_around with the same arguments and "
        'continue_after "{id}".',
        "Si no le va bien: pide primero que lo cancelen allí con make_call y después call_around con los mismos "
        'argumentos y continue_after "{id}".',
    ),
    "needs_decision": (
        "Decide first: {party} answered, and something may have been booked there. Read below and in get_transcript.",
        "Decide primero: contestaron en {party} y quizá se reservó algo. Lee abajo y en get_transcript.",
    ),
    "unknown": (
        "Stopped: {party} may have been called, and how that ended is not known. get_call looks again.",
        "Detenida: quizá se llamó a {party} y no se sabe cómo terminó. get_call vuelve a mirar.",
    ),
    "found_unreached": (
        "Stopped: whether {party} was called was not known at first; nobody was reached. call_around with the same "
        "arguments goes on.",
        "Detenida: al principio no se sabía si se llamó a {party}; no se habló con nadie. call_around con los mismos "
        "argumentos continúa.",
    ),
    "go_on": (
        "If nothing was booked and the user wants the next one: call_around with the same arguments and continue_after "
        '"{id}".',
        "Si no se reservó nada y el usuario quiere la siguiente: call_around con los mismos argumentos y "
        "continue_after "
        '"{id}".',
    ),
    "needs_sign_in": (
        "Stopped: not signed in to KallyAI. After sign_in, call_around with the same arguments goes on.",
        "Detenida: no hay sesión iniciada en KallyAI. Tras sign_in, call_around con los mismos argumentos continúa.",
    ),
    "refused": (
        "Stopped: the next call may not be placed now: {why}. call_around with the same arguments goes on later.",
        "Detenida: ahora no se puede hacer la siguiente llamada: {why}. call_around con los mismos argumentos "
        "continúa después.",
    ),
    "canceled": ("Canceled: nobody else is called.", "Cancelada: no se llama a nadie más."),
    "others": (
        "If the user wants the others after all: call_around with those alone.",
        "Si el usuario quiere las demás de todos modos: call_around solo con esas.",
    ),
    "in_progress": (
        "In progress: {party}, {number} of {count}. It continues without you; do not call them yourself.",
        "En curso: {party}, {number} de {count}. Sigue sin ti; no los llames por tu cuenta.",
    ),
    "calling": ("{party}, {number} of {count}", "{party}, {number} de {count}"),
    "next": (
        'Next: get_call with call_id "{id}" and wait_seconds {wait:g}; cancel_call stops the list.',
        'Después: get_call con call_id "{id}" y wait_seconds {wait:g}; cancel_call detiene la lista.',
    ),
    "task": ("{party}, {number} of {count}, is being called.", "Se está llamando a {party}, {number} de {count}."),
    "task_cancel": (
        "tasks/cancel stops the list for good; a call in progress goes on to its end.",
        "tasks/cancel detiene la lista para siempre; una llamada en curso sigue hasta el final.",
    ),
    "again": ("Asked for before; nothing was placed twice. ", "Ya se había pedido; no se hizo nada dos veces. "),
    "not_called": ("Not called: {parties}.", "Sin llamar: {parties}."),
    "not_called_yet": ("Not called yet: {parties}.", "Aún sin llamar: {parties}."),
    "state_in_progress": ("in progress, {number} of {count}", "en curso, {number} de {count}"),
    "state_ending": ("canceled, its last call is in progress", "cancelada, su última llamada está en curso"),
    "state_needs_decision": ("needs a decision", "falta una decisión"),
    "state_unknown": ("stopped, an outcome is unknown", "detenida, un resultado es desconocido"),
    "state_needs_sign_in": ("stopped, not signed in", "detenida, sin sesión iniciada"),
    "state_refused": ("stopped, the next call may not be placed now", "detenida, ahora no se puede llamar"),
    "next_of_lists": (
        "get_call with the id of a list says what to do next; do not call its candidates yourself.",
        "get_call con el id de una lista dice qué hacer; no llames a sus candidatos por tu cuenta.",
    ),
    "late": ("the list was asked for long ago", "la lista se pidió hace mucho"),
}

_say = partial(say_from, _SENTENCES)


def call_list(found: CallList, reader: Reader, *, is_duplicate: bool = False) -> str:
    """The result of a list in its present state; with `is_duplicate`, the same list was asked for before."""
    spanish = reader.spanish
    last = found.records[-1] if found.records else None
    party = party_of(last.submission if last is not None else found.submissions[0])
    called = sum(record.call is not None for record in found.records)
    values = {"party": party, "count": called, "why": _refusal(found, spanish), "when": ""}
    is_other_time = last is not None and last.outcome is Outcome.BOOKED_OTHER_TIME
    if last is not None and is_other_time:
        when = booked_time(CallView.of_record(last), reader)
        values["when"] = f", {when}" if when else ""
    key = "in_progress"
    if found.stop_reason is None:
        number, count = max(1, len(found.records)), len(found.submissions)
        first = _say("in_progress", spanish, party=party, number=number, count=count)
    else:
        key = _key(found, found.stop_reason, is_other_time=is_other_time)
        first = _say(key, spanish, **values)
    lines = [_say("again", spanish) + first if is_duplicate else first]
    lines += [f"{n}. {_row(record, reader)}" for n, record in enumerate(found.records, 1)]
    lines += [not_looked_up(spanish=spanish)] if any(map(_is_unread, found.records)) else []
    waiting = found.not_called if found.records or found.stop_reason is not None else found.not_called[1:]
    if waiting:
        parties = "; ".join(str(party_of(submission)) for submission in waiting)
        lines.append(_say("not_called_yet" if found.stop_reason is None else "not_called", spanish, parties=parties))
    if found.stop_reason is StopReason.CANCELED and is_duplicate and found.not_called:
        lines.append(_say("others", spanish))
    if found.stop_reason is None:
        lines.append(_say("next", spanish, id=found.list_id, wait=reader.wait_seconds))
    elif found.waits_for_user and last is not None and key in ("needs_decision", "other_time", "unknown"):
        advice = "go_on_after_other_time" if key == "other_time" else "go_on"
        lines.append(_say(advice, spanish, id=last.call_id or last.tracking_id))
    return "\n".join(lines)


def task_status(found: CallList, *, spanish: bool, is_duplicate: bool = False) -> str:
    """The state of a list, for an agent that follows it as a task."""
    if found.stop_reason is StopReason.CANCELED:
        return list_canceled(found, spanish=spanish)
    position = max(1, len(found.records))
    party = party_of(found.submissions[position - 1])
    first = _say("task", spanish, party=party, number=position, count=len(found.submissions))
    return f"{_say('again', spanish) if is_duplicate else ''}{first} {_say('task_cancel', spanish)}"


def listed(lists: Sequence[CallList], reader: Reader) -> list[str]:
    """The lines about `lists` above a listing of calls: each list with its calls, and then what to do next."""
    lines, spanish = [], reader.spanish
    for found in lists:
        number, count = max(1, len(found.records)), len(found.submissions)
        state = _say(f"state_{state_of(found)}", spanish, number=number, count=count)
        phone = found.submissions[0].respondent_phone
        at = when(found.asked_at, zone_of(reader.timezone), reader.now, spanish=spanish, number=phone)
        lines.append(f"{at}  call_around: {state}  {word(found.list_id)}")
        for position, record in enumerate(found.records, 1):
            words, id_ = state_in_words(CallView.of_record(record), spanish), record.call_id or record.tracking_id
            lines.append(f"  {position}. {party_of(record.submission).in_row()}  {words}  {call_id(id_)}")
        if found.not_called:
            parties = "; ".join(party_of(submission).in_row() for submission in found.not_called)
            key = "not_called_yet" if found.stop_reason is None else "not_called"
            lines.append(f"  {_say(key, spanish, parties=parties)}")
    is_unread = any(_is_unread(record) for found in lists for record in found.records)
    lines += [not_looked_up(spanish=spanish)] if is_unread else []
    return [*lines, _say("next_of_lists", spanish)] if lines else []


def state_of(found: CallList) -> str:
    """The state of a list: `in_progress`, `ending` (canceled during a call that goes on), or why it has stopped."""
    if found.stop_reason is None:
        return "in_progress"
    return "ending" if found.is_calling else found.stop_reason.value


def calling(found: CallList, *, spanish: bool) -> str:
    """The candidate that is being called, for a progress message: "Italian Bistro (+1 415-555-1234), 2 of 3"."""
    position = max(1, len(found.records))
    party, count = party_of(found.submissions[position - 1]), len(found.submissions)
    return _say("calling", spanish, party=party, number=position, count=count)


def _row(record: CallRecord, reader: Reader) -> str:
    view, spanish = CallView.of_record(record), reader.spanish
    call, said = view.call, ""
    if call is not None and call.highlights:
        said = f" KallyAI: {quoted(sentence(call.highlights, spanish=spanish), _SAID, spanish=spanish)}"
    if call is not None and call.next_steps:
        steps = quoted(sentence(call.next_steps, spanish=spanish), _SAID, spanish=spanish)
        said += f" {say('suggests', spanish, said=steps)}"
    why = reason(call.plain_status, spanish=spanish) if call is not None else ""
    if record.state is CallState.REFUSED and record.error is not None:
        why = word(record.error.code)
    facts = ", ".join(filter(None, (state_in_words(view, spanish), why, booked_time(view, reader))))
    id_ = call_id(record.call_id or record.tracking_id)
    return f"{party_of(record.submission)}: {facts.removesuffix('.')}.{said} {id_}"


def _key(found: CallList, why: StopReason, *, is_other_time: bool) -> str:
    """The key of the sentence about a list that has stopped."""
    if found.was_found_unreached:
        return "found_unreached"
    if is_other_time and why in (StopReason.BOOKED, StopReason.NEEDS_DECISION):
        return "booked_other_time" if why is StopReason.BOOKED else "other_time"
    if why is not StopReason.DONE:
        return why.value
    if any(record.outcome in (Outcome.BOOKED, Outcome.BOOKED_OTHER_TIME) for record in found.records):
        return "done_booked"
    return "done_unbooked" if found.until == "booked" else "done"


def _is_unread(record: CallRecord) -> bool:
    return CallView.of_record(record).is_calendar_unread


def _refusal(found: CallList, spanish: bool) -> str:
    if isinstance(found.refusal, PolicyError):
        return forbidden(found.refusal, spanish=spanish)
    error = found.records[-1].error if found.was_refused else None
    return word(error.code) if error is not None else _say("late", spanish)
