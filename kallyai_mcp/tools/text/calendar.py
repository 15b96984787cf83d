"""A calendar event as a text, and as a new .ics file."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from kallyai_mcp.calls.appointment import Appointment
from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.text.calls import begins, ends
from kallyai_mcp.tools.text.plain import named, one_line, quoted
from kallyai_mcp.tools.text.times import Reader, day_and_hour, hour, with_place


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


def event_words(view: CallView, reader: Reader, *, uri: str) -> str:
    """The appointment of a call in words; `uri` is that of the .ics file.

    For example '"Table": Sat Dec 5, 9:00 PM there (4:00 PM in New York), at Italian Bistro.'
    """
    event = view.appointment or Appointment()
    what = quoted(event.summary, 120) if event.summary else "Appointment"
    where = f", at {named(event.location)}" if event.location else ""
    return f"{what}: {_span(view, reader) or 'no time given'}{where}.\nThe .ics file: {uri}"


def _span(view: CallView, reader: Reader) -> str:
    start, end, number = begins(view), ends(view), view.submission.respondent_phone
    if start is None:
        return ""
    text = day_and_hour(start, reader.now)
    if isinstance(end, datetime) and isinstance(start, datetime):
        text += f" to {hour(end.hour, end.minute) if end.date() == start.date() else day_and_hour(end, reader.now)}"
    elif end is not None and end - start > timedelta(days=1):
        # RFC 5545, 3.6.1: the end of an all-day event is not part of it. From a hotel, it is the day of departure.
        text += f" to the beginning of {day_and_hour(end, reader.now)}"
    by_both = replace(reader, zone_is_named=reader.zone_is_known)
    return with_place(text, start, number, view.zone_name, by_both)
