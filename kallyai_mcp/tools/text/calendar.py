"""How a calendar event reads: KallyAI's .ics file in words."""

from datetime import UTC, datetime, timedelta

from kallyai_mcp.calls.appointment import Appointment
from kallyai_mcp.tools.text.plain import named, offset, one_line, zone_of


def rebuilt(event: Appointment, call_id: str) -> str:
    """A calendar file (RFC 5545) with that event and nothing else: no program to run, no rule to repeat it.

    Args:
        event: What KallyAI's own file says.
        call_id: Makes the event's id, so that an appointment that is imported again replaces itself.
    """
    from icalendar import Calendar
    from icalendar import Event as Component

    component = Component()
    component.add("uid", f"{call_id}@kallyai-mcp")
    component.add("dtstamp", datetime(2026, 1, 1, tzinfo=UTC))  # required, and the same each time
    texts = {"summary": event.summary, "location": event.location}
    moments = {"dtstart": event.start, "dtend": event.end}
    for name, text in texts.items():
        if text:
            component.add(name, one_line(text))
    for name, moment in moments.items():
        if isinstance(moment, datetime) and moment.tzinfo:  # in UTC, so that the file needs no time zone's definition
            component.add(name, moment.astimezone(UTC))
        elif moment is not None:
            component.add(name, moment)
    calendar = Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", "-//kallyai-mcp//EN")
    calendar.add_component(component)
    return str(calendar.to_ical().decode())


def event_words(event: Appointment, zone_name: str) -> str:
    """The event, for example "Table for 4: Fri Nov 27, 2026 19:00–21:00 UTC-05:00, at Italian Bistro."."""  # noqa: RUF002
    where = f"at {named(event.location)}" if event.location else None
    facts = [part for part in (_span(event, zone_name), where) if part]
    what = named(event.summary or "Appointment", 120)
    return f"{what}: {', '.join(facts) or 'no time given'}. The .ics file is attached."


def _span(event: Appointment, zone_name: str) -> str | None:
    start, end = event.start, event.end
    if isinstance(start, datetime):
        begins = start.astimezone(zone_of(zone_name)) if start.tzinfo else start
        text = f"{begins:%a %b} {begins.day}, {begins:%Y %H:%M}"
        if isinstance(end, datetime):
            ends = end.astimezone(begins.tzinfo) if end.tzinfo and begins.tzinfo else end
            other_day = f"{ends:%a %b} {ends.day} " if ends.date() != begins.date() else ""
            text += f"–{other_day}{ends:%H:%M}"  # noqa: RUF001 - a dash between times
        return f"{text} {offset(begins)}" if begins.tzinfo else text
    if start is None:
        return None
    text = f"{start:%a %b} {start.day}, {start:%Y}"
    if end is not None and end - start > timedelta(days=1):
        last = end - timedelta(days=1)  # RFC 5545, 3.6.1: the end of an all-day event is not part of it
        text += f" to {last:%a %b} {last.day}, {last:%Y}"
    return f"{text}, all day"
