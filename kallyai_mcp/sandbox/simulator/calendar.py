"""The calendar file of an appointment ("Get Calendar Event"): RFC 5545."""

from datetime import UTC, date, datetime

from kallyai_mcp.sandbox.simulator.dialogue import Event


def ics(event: Event, *, call_id: str, now: datetime) -> str:
    """An iCalendar file with one VEVENT.

    Times are in the caller's zone with its VTIMEZONE, or in UTC when the event has none. The UID follows from `call_id`
    alone, so that importing the file twice makes one appointment.

    Args:
        event: What was agreed.
        call_id: The call that agreed it.
        now: The moment of writing (DTSTAMP), aware.

    Returns:
        The file as text, with the CRLF line ends that RFC 5545 asks for.
    """
    import icalendar

    calendar = icalendar.Calendar()
    calendar.add("PRODID", "-//kallyai-mcp//sandbox//EN")
    calendar.add("VERSION", "2.0")
    calendar.add("CALSCALE", "GREGORIAN")

    start, end = event.start, event.end
    # A local time that occurs twice means its first occurrence in RFC 5545; only UTC can name the second.
    if isinstance(start, datetime) and isinstance(end, datetime) and (start.fold or end.fold):
        start, end = start.astimezone(UTC), end.astimezone(UTC)

    vevent = icalendar.Event()
    vevent.add("UID", f"{call_id}@sandbox.kallyai.test")
    vevent.add("DTSTAMP", now.astimezone(UTC))
    vevent.add("DTSTART", start)
    vevent.add("DTEND", end)
    vevent.add("SUMMARY", event.summary)
    if event.location is not None:
        vevent.add("LOCATION", event.location)
    vevent.add("DESCRIPTION", event.description)
    vevent.add("STATUS", "CONFIRMED")
    calendar.add_component(vevent)
    # Only the years around the event: the whole history of a zone is fifty times as long as the event itself.
    calendar.add_missing_timezones(date(start.year, 1, 1), date(end.year + 1, 1, 1))
    content: bytes = calendar.to_ical()
    return content.decode("utf-8")
