"""Texts about a scheduled call, and about the attempts of a call that was placed again."""

from functools import partial

from kallyai_mcp.calls.numbers import local_time, zone_of_number
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.tools.text.calls import party_of
from kallyai_mcp.tools.text.plain import say_from, zone_of
from kallyai_mcp.tools.text.reader import Reader
from kallyai_mcp.tools.text.times import city, day_and_hour, is_own_clock, own_time

_SENTENCES: dict[str, tuple[str, str]] = {
    "scheduled": ("Scheduled: {party}, {when}.", "Programada: {party}, {when}."),
    "duplicate": (
        "Already scheduled, so nothing new was placed: {party}, {when}. To change it: cancel_call, then make_call.",
        "Ya estaba programada; no se hizo otra: {party}, {when}. Para cambiarla: cancel_call y luego make_call.",
    ),
    "again": (
        "Not reached yet: {party} ({attempts}). Attempt {number} of {count}: {when}.",
        "Sin contacto todavía: {party} ({attempts}). Intento {number} de {count}: {when}.",
    ),
    "up_to": ("Up to {count} attempts.", "Hasta {count} intentos."),
    "running": ("This program must be running then.", "Este programa debe estar en marcha entonces."),
    "task_cancel": ("{first} tasks/cancel cancels it.", "{first} tasks/cancel la cancela."),
    "cancel": ("tracking_id {id}; cancel_call cancels it.", "tracking_id {id}; cancel_call la cancela."),
    "due": ("{due} {where}", "{due} (hora {where})"),
    "due_for_both": ("{due} {where} ({yours} your time)", "{due} (hora {where}; {yours} en la tuya)"),
    "there": ("there", "de allí"),
    "of_zone": ("{place} time", "de {place}"),
    "busy": ("busy", "ocupado"),
    "no_answer": ("no answer", "sin respuesta"),
    "made": ("Attempt {number} of {count}. Before: {attempts}.", "Intento {number} de {count}. Antes: {attempts}."),
    "not_again": ("No further attempt: {attempts}.", "No hubo más intentos: {attempts}."),
}

_say = partial(say_from, _SENTENCES)


def scheduled(record: CallRecord, reader: Reader, *, is_duplicate: bool = False) -> str:
    """A call that is due later, or that will be placed again; with `is_duplicate`, it was asked for before."""
    schedule, spanish = record.schedule, reader.spanish
    key = "duplicate" if is_duplicate else "again" if schedule.earlier else "scheduled"
    first = _say(
        key,
        spanish,
        party=party_of(record.submission),
        when=due(schedule, record.submission.respondent_phone, record.timezone, reader),
        attempts=_earlier(record, reader),
        number=schedule.attempt,
        count=schedule.attempts,
    )
    more = [_say("up_to", spanish, count=schedule.attempts)] if schedule.attempts > 1 and key != "again" else []
    sentences = [first, *more, _say("running", spanish)]
    return f"{' '.join(sentences)}\n{_say('cancel', spanish, id=record.tracking_id)}"


def scheduled_task(record: CallRecord, reader: Reader, *, is_duplicate: bool = False) -> str:
    """The text of `scheduled`, for an agent that follows the call as a task."""
    first = scheduled(record, reader, is_duplicate=is_duplicate).partition("\n")[0]
    return _say("task_cancel", reader.spanish, first=first)


def due(schedule: Schedule, number: str, timezone: str, reader: Reader) -> str:
    """When a call is due, by the callee's clock and the user's: "Mon Jan 26, 9:00 AM Denver time (11:00 AM your time)".

    It is "" if the call is due at once. If the `number` (E.164) does not show the callee's clock, the time is in the
    zone with the IANA name `timezone`.
    """
    if schedule.not_before is None:
        return ""
    spanish, there = reader.spanish, local_time(number, schedule.not_before)
    zone = zone_of_number(number) or (timezone if there is None else None)
    there = there or schedule.not_before.astimezone(zone_of(timezone))
    where = _say("of_zone", spanish, place=city(zone, spanish=spanish)) if zone else _say("there", spanish)
    text = day_and_hour(there, reader.now.astimezone(there.tzinfo), spanish=spanish, number=number)
    yours = own_time(there, reader, number=number)
    return _say("due" if is_own_clock(there, reader) else "due_for_both", spanish, due=text, where=where, yours=yours)


def attempts(record: CallRecord, reader: Reader) -> str:
    """Which attempt a call was, and how the earlier attempts ended; "" if there were none."""
    if not record.schedule.earlier:
        return ""
    number = record.schedule.attempt
    count = max(number, record.schedule.attempts)
    return _say("made", reader.spanish, number=number, count=count, attempts=_earlier(record, reader))


def not_again(record: CallRecord, reader: Reader) -> str:
    """How the earlier attempts of a call ended, if the next attempt was not placed."""
    return _say("not_again", reader.spanish, attempts=_earlier(record, reader))


def _earlier(record: CallRecord, reader: Reader) -> str:
    """The attempts that reached nobody, by the callee's clock: "busy Wed Nov 25, 9:00 AM; busy …"."""
    number, spanish = record.submission.respondent_phone, reader.spanish
    zone = zone_of(zone_of_number(number) or record.timezone)
    ends = ((one.status, one.at.astimezone(zone)) for one in record.schedule.earlier)
    return "; ".join(
        f"{_say(status, spanish)} {day_and_hour(at, reader.now, spanish=spanish, number=number)}" for status, at in ends
    )
