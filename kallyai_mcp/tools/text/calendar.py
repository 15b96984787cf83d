"""A calendar event as a text, and as a new .ics file."""

from datetime import UTC, datetime, timedelta

from kallyai_mcp.calls.appointment import Appointment, with_zone
from kallyai_mcp.tools.text.plain import named, one_line, quoted, zone_of
from kallyai_mcp.tools.text.times import Reader, city, day_and_hour, hour, is_own_clock, own_time


def rebuilt(event: Appointment, call_id: str) -> str:
    """A calendar file (RFC 5545) with the title, place, and times of the event: no alarm, no attachment, no recurrence.

    The event's id contains the `call_id`. So if the user imports the file twice, the calendar has one event.
    """
    from icalendar import Calendar
    from icalendar import Event as Component

    component = Component()
    component.add("uid", f"{call_id}@kallyai-mcp")
    component.add("dtstamp", datetime(2026, 1, 1, tzinfo=UTC))  # required; constant, so that the file does not change
    for name, text in (("summary", event.summary), ("location", event.location)):
        if text:
            component.add(name, one_line(text))
    for name, moment in (("dtstart", event.start), ("dtend", event.end)):
        if isinstance(moment, datetime) and moment.tzinfo:  # in UTC, so that the file needs no VTIMEZONE
            component.add(name, moment.astimezone(UTC))
        elif moment is not None:
            component.add(name, moment)
    calendar = Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", "-//kallyai-mcp//EN")
    calendar.add_component(component)
    return str(calendar.to_ical().decode())


def event_words(event: Appointment, reader: Reader, *, uri: str, place_zone: str) -> str:
    """The event in words.

    For example '"Table": Sat Dec 5, 9:00 PM London time (4:00 PM in New York), at Italian Bistro.' `uri` is that of
    the .ics file, and `place_zone` the IANA name of the zone of the event's place.
    """
    what = quoted(event.summary, 120) if event.summary else "Appointment"
    where = f", at {named(event.location)}" if event.location else ""
    return f"{what}: {_span(event, reader, place_zone)}{where}.\nThe .ics file: {uri}"


def _span(event: Appointment, reader: Reader, place_zone: str) -> str:
    if event.start is None:
        return "no time given"
    zone = zone_of(place_zone)
    start, end = with_zone(event.start, zone) or event.start, with_zone(event.end, zone)
    text = day_and_hour(start, reader.now)
    if not isinstance(start, datetime):
        # RFC 5545, 3.6.1: the end of an all-day event is not part of it. From a hotel, it is the day of departure.
        if end is None or isinstance(end, datetime) or end - start <= timedelta(days=1):
            return text
        return f"{text} to the beginning of {day_and_hour(end, reader.now)}"
    if isinstance(end, datetime):
        is_same_day = end.date() == start.date()
        text += f" to {hour(end.hour, end.minute) if is_same_day else day_and_hour(end, reader.now)}"
    if is_own_clock(start, reader):
        return text
    own = f" ({own_time(start, reader)} in {city(reader.timezone)})" if reader.zone_is_known else ""
    return f"{text} {city(place_zone)} time{own}"
