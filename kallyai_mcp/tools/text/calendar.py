"""A calendar event as a text, and as a new .ics file."""

from datetime import UTC, datetime, timedelta

from kallyai_mcp.calls.appointment import Appointment
from kallyai_mcp.tools.text.plain import named, one_line, quoted
from kallyai_mcp.tools.text.reader import Reader
from kallyai_mcp.tools.text.times import city, day_and_hour, differs, hour, in_zone, own_time, weekday


def rebuilt(event: Appointment, call_id: str) -> str:
    """A calendar file (RFC 5545) with the title, place, and times of the event: no alarm, no attachment, no recurrence.

    The event's id contains the `call_id`. So if the user imports the file twice, the calendar has one event.
    """
    from icalendar import Calendar
    from icalendar import Event as Component

    component = Component()
    component.add("uid", f"{call_id}@kallyai-mcp")
    component.add("dtstamp", datetime(2026, 1, 1, tzinfo=UTC))  # required; constant, so that the file does not change
    texts = {"summary": event.summary, "location": event.location}
    moments = {"dtstart": event.start, "dtend": event.end}
    for name, text in texts.items():
        if text:
            component.add(name, one_line(text))
    for name, moment in moments.items():
        if isinstance(moment, datetime) and moment.tzinfo:  # in UTC, so that the file needs no VTIMEZONE
            component.add(name, moment.astimezone(UTC))
        elif moment is not None:
            component.add(name, moment)
    calendar = Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", "-//kallyai-mcp//EN")
    calendar.add_component(component)
    return str(calendar.to_ical().decode())


def event_words(event: Appointment, reader: Reader, *, uri: str, place_zone: str, number: str | None = None) -> str:
    """The event in words.

    For example '"Table": Sat Dec 5, 9:00 PM London time (4:00 PM in New York), at Italian Bistro.'

    Args:
        event: The event.
        reader: Who reads the text.
        uri: The resource with the .ics file.
        place_zone: IANA name of the time zone of the event's place.
        number: The number that was called (E.164).
    """
    spanish = reader.spanish
    what = quoted(event.summary, 120) if event.summary else ("Cita" if spanish else "Appointment")
    when = _span(event, reader, place_zone, number)
    where = f"{'en' if spanish else 'at'} {named(event.location)}" if event.location else None
    nothing = "sin hora" if spanish else "no time given"
    file = f"Archivo .ics: {uri}" if spanish else f"The .ics file: {uri}"
    return f"{what}: {', '.join(filter(None, (when or nothing, where)))}.\n{file}".replace(" m..", " m.")


def _span(event: Appointment, reader: Reader, place_zone: str, number: str | None) -> str | None:
    if event.start is None:
        return None
    now, spanish = reader.now, reader.spanish
    start, end = in_zone(event.start, place_zone), event.end and in_zone(event.end, place_zone)
    text = day_and_hour(start, now, spanish=spanish, number=number)
    span = "desde {} hasta {}" if spanish else "{} to {}"
    if not isinstance(start, datetime):
        # RFC 5545, 3.6.1: the end of an all-day event is not part of it.
        last = end - timedelta(days=1) if end is not None else start
        whole = "días completos" if spanish else "whole days"
        return f"{span.format(text, day_and_hour(last, now, spanish=spanish))}, {whole}" if last > start else text
    if isinstance(end, datetime):
        if end.date() != start.date():
            text = span.format(text, day_and_hour(end, now, spanish=spanish, number=number))
        else:
            begins, ends = (hour(at.hour, at.minute, spanish=spanish, number=number) for at in (start, end))
            its_day = weekday(start, now, spanish=spanish)
            text = f"el {its_day} de {begins} a {ends}" if spanish else span.format(text, ends)
    if not differs(start, place_zone, reader.timezone):
        return text
    place = f"hora de {city(place_zone, spanish=True)}" if spanish else f"{city(place_zone)} time"
    if start.tzinfo is None:
        return f"{text} {place}"
    own = own_time(start, reader, number=number)
    return f"{text} {place} ({own} {'en' if spanish else 'in'} {city(reader.timezone, spanish=spanish)})"
