"""How a calendar event reads: KallyAI's .ics file in words."""

from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta
from typing import Any

from kallyai_mcp.api.errors import UnreadableResponseError
from kallyai_mcp.tools.text.plain import named, offset, one_line, zone_of


@dataclass(frozen=True)
class Event:
    """The first event of an .ics file; a date without a time is a whole day."""

    summary: str | None
    start: date | datetime | None
    end: date | datetime | None
    location: str | None


def read_event(ics: str) -> Event:
    """The first event in `ics` (RFC 5545); its end only if that is later than its start.

    Raises:
        UnreadableResponseError: There is no event, or its start is not a time.
    """
    from icalendar import Calendar  # imported late: it takes longer than all tools together

    try:
        events: list[Any] = list(Calendar.from_ical(ics).walk("VEVENT"))
    except (ValueError, IndexError, OSError) as error:  # OSError: icalendar opens a file named like the TZID
        raise UnreadableResponseError("the calendar file is not iCalendar", code="unreadable_answer") from error
    if not events:
        raise UnreadableResponseError("the calendar file has no event in it", code="unreadable_answer")
    event = events[0]
    start, end = _when(event.get("DTSTART")), _when(event.get("DTEND"))
    if start is None and ("DTSTART" in event or event.errors):
        raise UnreadableResponseError("the calendar file has a time that is none", code="unreadable_answer")
    return Event(
        summary=_text(event.get("SUMMARY")),
        start=start,
        end=end if start is None or end is None or _is_after(end, start) else None,
        location=_text(event.get("LOCATION")),
    )


def rebuilt(event: Event, call_id: str) -> str:
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
            component.add(name, text)
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


def _when(value: Any) -> date | datetime | None:
    """The date or moment of a property; None when it has none that can be formatted."""
    try:
        found = getattr(value, "dt", None)
    except ValueError:  # icalendar raises it for the value of a broken property
        return None
    return found if isinstance(found, date) and MINYEAR < found.year < MAXYEAR else None


def _is_after(end: date | datetime, start: date | datetime) -> bool:
    """Whether `end` is of the same type as `start`, and later (RFC 5545, section 3.8.2.2)."""
    try:
        return end > start
    except TypeError:  # a date and a moment, or a moment with a zone and one without
        return False


def _text(value: object) -> str | None:
    """A text on one line; the first of several."""
    first = value[0] if isinstance(value, list) else value
    return one_line(str(first), 500) or None if first is not None else None


def event_words(event: Event, zone_name: str) -> str:
    """The event, for example "Table for 4: Fri Nov 27, 2026 19:00–21:00 UTC-05:00, at Italian Bistro."."""  # noqa: RUF002
    where = f"at {named(event.location)}" if event.location else None
    facts = [part for part in (_span(event, zone_name), where) if part]
    what = named(event.summary or "Appointment", 120)
    return f"{what}: {', '.join(facts) or 'no time given'}. The .ics file is attached."


def _span(event: Event, zone_name: str) -> str | None:
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
