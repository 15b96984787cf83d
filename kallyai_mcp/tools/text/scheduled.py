"""How a scheduled call reads, and the attempts of a call that was placed again. Spanish for a Spanish call."""

from datetime import datetime

from kallyai_mcp.calls.numbers import zone_of_number
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.tools.text.calls import record_party
from kallyai_mcp.tools.text.plain import zone_of
from kallyai_mcp.tools.text.times import day_and_hour, differs, hour

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
    "there": ("{there} there ({yours} your time)", "{there} (hora de allí; {yours} en la tuya)"),
    "busy": ("busy", "ocupado"),
    "no_answer": ("no answer", "sin respuesta"),
    "made": ("Attempt {number} of {count}. Before: {attempts}.", "Intento {number} de {count}. Antes: {attempts}."),
    "not_again": ("No further attempt: {attempts}.", "No hubo más intentos: {attempts}."),
}


def scheduled(record: CallRecord, now: datetime, *, zone_name: str, spanish: bool, is_duplicate: bool = False) -> str:
    """A call that is due later, or will be placed again.

    Args:
        record: The call.
        now: The present moment, with a time zone.
        zone_name: IANA name of the user's time zone.
        spanish: In Spanish, else in English.
        is_duplicate: The same call was asked for again.
    """
    schedule = record.schedule
    key = "duplicate" if is_duplicate else "again" if schedule.earlier else "scheduled"
    first = _say(
        key,
        spanish,
        party=record_party(record),
        when=due(record, now, zone_name=zone_name, spanish=spanish),
        attempts=earlier(record, now, spanish=spanish),
        number=schedule.attempt,
        count=schedule.attempts,
    )
    more = [_say("up_to", spanish, count=schedule.attempts)] if schedule.attempts > 1 and key != "again" else []
    sentences = [first, *more, _say("running", spanish)]
    return f"{' '.join(sentences)}\n{_say('cancel', spanish, id=record.tracking_id)}"


def scheduled_task(
    record: CallRecord, now: datetime, *, zone_name: str, spanish: bool, is_duplicate: bool = False
) -> str:
    """As `scheduled`, for an agent that follows the call as a task."""
    text = scheduled(record, now, zone_name=zone_name, spanish=spanish, is_duplicate=is_duplicate)
    return _say("task_cancel", spanish, first=text.partition("\n")[0])


def due(record: CallRecord, now: datetime, *, zone_name: str, spanish: bool) -> str:
    """When a scheduled call is due, by the callee's clock and the user's: "Wed Nov 25, 9:00 AM there (…)"."""
    number = record.submission.respondent_phone
    return due_in_words(
        record.schedule,
        now,
        place_zone=zone_of_number(number) or record.timezone,
        zone_name=zone_name,
        number=number,
        spanish=spanish,
    )


def due_in_words(
    schedule: Schedule, now: datetime, *, place_zone: str, zone_name: str, number: str, spanish: bool
) -> str:
    """When a call is due; "" for a call that is due at once.

    Args:
        schedule: The schedule.
        now: The present moment, with a time zone.
        place_zone: IANA name of the callee's time zone.
        zone_name: IANA name of the user's.
        number: E.164; Spanish texts write hours as they are written there.
        spanish: In Spanish, else in English.
    """
    if schedule.not_before is None:
        return ""
    there = schedule.not_before.astimezone(zone_of(place_zone))
    text = day_and_hour(there, now.astimezone(there.tzinfo), spanish=spanish, number=number)
    if not differs(there, place_zone, zone_name):
        return text
    own = schedule.not_before.astimezone(zone_of(zone_name))
    yours = hour(own.hour, own.minute, spanish=spanish, number=number)
    if own.date() != there.date():
        yours = day_and_hour(own, now, spanish=spanish, number=number)
    return _say("there", spanish, there=text, yours=yours)


def earlier(record: CallRecord, now: datetime, *, spanish: bool) -> str:
    """The attempts that reached nobody, by the callee's clock: "busy Wed Nov 25, 9:00 AM; busy …"."""
    number = record.submission.respondent_phone
    zone = zone_of(zone_of_number(number) or record.timezone)
    return "; ".join(
        f"{_say(one.status, spanish)} {day_and_hour(one.at.astimezone(zone), now, spanish=spanish, number=number)}"
        for one in record.schedule.earlier
    )


def attempts(record: CallRecord, now: datetime, *, spanish: bool) -> str:
    """Which attempt a call was, and how those before it ended; "" for the only one."""
    if not record.schedule.earlier:
        return ""
    number = record.schedule.attempt
    count = max(number, record.schedule.attempts)
    return _say("made", spanish, number=number, count=count, attempts=earlier(record, now, spanish=spanish))


def not_again(record: CallRecord, now: datetime, *, spanish: bool) -> str:
    """How the attempts ended of a call whose next attempt was not placed; "" if there was none."""
    if not record.schedule.earlier:
        return ""
    return _say("not_again", spanish, attempts=earlier(record, now, spanish=spanish))


def _say(key: str, spanish: bool, **values: object) -> str:
    return _SENTENCES[key][spanish].format(**values).replace(" m..", " m.")  # of "p. m." before a period
