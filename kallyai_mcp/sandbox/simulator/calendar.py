"""The iCalendar file (RFC 5545) of an appointment: the reference's "Get Calendar Event"."""

from datetime import UTC, date, datetime

from kallyai_mcp.sandbox.simulator.simulated_call import Event


def ics(event: Event, *, call_id: str, now: datetime) -> str:
    """Return an iCalendar file with one VEVENT, in the user's time zone, with CRLF line ends.

    The UID depends on `call_id` only, so that importing the file twice makes one appointment.
    """
    import icalendar

    calendar = icalendar.Calendar()
    calendar.add("PRODID", "-//kallyai-mcp//sandbox//EN")
    calendar.add("VERSION", "2.0")
    calendar.add("CALSCALE", "GREGORIAN")

    start = event.start
    end = event.end
    if _needs_utc(start) or _needs_utc(end):
        start = _in_utc(start)
        end = _in_utc(end)

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
    # Only the years around the event: the whole history of a zone would be fifty times as long as
    # the event.
    calendar.add_missing_timezones(date(start.year, 1, 1), date(end.year + 1, 1, 1))
    content: bytes = calendar.to_ical()
    return content.decode("utf-8")


def _needs_utc(moment: datetime | date) -> bool:
    """Whether a local time is the second of two equal ones. RFC 5545 means the first one."""
    return isinstance(moment, datetime) and moment.fold == 1


def _in_utc(moment: datetime | date) -> datetime | date:
    return moment.astimezone(UTC) if isinstance(moment, datetime) else moment
