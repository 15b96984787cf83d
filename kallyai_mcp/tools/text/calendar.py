"""An appointment in words, and as a new .ics file."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time

from kallyai_mcp.calls.appointment import Appointment, time_of_day
from kallyai_mcp.tools.facets.booking import Asked, day_asked
from kallyai_mcp.tools.facets.booking_history import BookingHistory
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.submissions import departure_in
from kallyai_mcp.tools.text.plain import (
    Reader,
    at_callee,
    day_and_hour,
    hour,
    named,
    one_line,
    part,
    quoted,
    time_on,
    visible,
    with_place,
    zone_of,
)

_THINGS = {"restaurant": "table", "hotel": "room"}
"""What is booked for a number of people, by the reference's `task_category`."""


_NAMES = {"appointment_time": "time", "party_size": "people", "departure_date": "departure"}
"""What the fields are called of a request that an event may not show."""


def rebuilt(view: CallView, history: BookingHistory) -> str:
    """A calendar file (RFC 5545) with the title, place, and times of a call's appointment.

    It has no alarm and no recurrence. The event keeps the id that it got from the first call of its
    `history`, and its number grows with each call that has moved or canceled it. So whatever files
    the user imports, in their order, the calendar has one event, or none. What cancels it has the
    callee's words.
    """
    from icalendar import Calendar
    from icalendar import Event as Component

    event = view.booking.event
    component = Component()
    component.add("uid", f"{history.first_id}@kallyai-mcp")
    component.add("sequence", history.sequence)
    component.add(
        "dtstamp",
        datetime(2026, 1, 1, tzinfo=UTC),
    )  # required; constant, so that the file does not change
    for name, text in (("summary", event.summary), ("location", event.location)):
        if text:
            component.add(name, one_line(text))
    for name, moment in (("dtstart", event.start), ("dtend", event.end)):
        if moment is not None:  # in UTC, so that the file needs no VTIMEZONE
            component.add(name, moment.astimezone(UTC) if isinstance(moment, datetime) else moment)
    calendar = Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", "-//kallyai-mcp//EN")
    if history.canceled_by is not None and history.canceled_by.evidence is not None:
        calendar.add("method", "CANCEL")
        component.add("status", "CANCELLED")
        component.add("description", one_line(history.canceled_by.evidence.quote or ""))
    calendar.add_component(component)
    return str(calendar.to_ical().decode())


def event_words(view: CallView, reader: Reader, *, uri: str) -> str:
    """The appointment of a call in words; `uri` is that of the .ics file.

    For example '"Table": Sat Dec 5, 9:00 PM there (4:00 PM in New York), until 11:00 PM, at Italian
    Bistro.'
    """
    event = view.booking.event
    start = begins(view)
    end = _at_callee(event.end, view)
    for_both = replace(reader, zone_is_named=reader.zone_is_known)
    facts = [booked_time(view, for_both) or "no time given"]
    if isinstance(start, datetime) and isinstance(end, datetime):
        facts.append(f"until {time_on(end, start, reader.now)}")
    if event.location:
        facts.append(f"at {named(event.location)}")
    return f"{_title(event)}: {', '.join(facts)}.\nThe .ics file: {uri}"


def _title(event: Appointment) -> str:
    return quoted(event.summary, 120) if event.summary else "Appointment"


def booking_facts(view: CallView) -> str:
    """What KallyAI has to know of the booking of an earlier call, beginning with its `call_id`."""
    if view.booking.appointment is None:
        return f"{view.call_id}: {', '.join(_facts_asked(view.submission))}"
    event = view.booking.event
    facts = [visible(event.summary or "a booking", 120)]
    if isinstance(event.start, datetime):
        facts.append(f"{event.start:%Y-%m-%d %H:%M}")
    elif event.start is not None:
        facts.append(f"{event.start}")
    return f"{view.call_id}: {', '.join(facts)}"


def _facts_asked(asked: Asked) -> Iterator[str]:
    """What was asked for in a call that has no event."""
    moment = " ".join(filter(None, (day_asked(asked), asked.appointment_time)))
    yield f"a booking{part(' for {}', visible(moment, 40))}, which no calendar event shows"
    if asked.party_size is not None:
        yield _people(asked)
    if asked.user_name:
        yield visible(asked.user_name, 80)


def _people(asked: Asked) -> str:
    return "1 person" if asked.party_size == 1 else f"{asked.party_size} people"


def thing(view: CallView) -> str:
    """What the call booked: "table for 4", or "table" if the event does not name that number."""
    kind = _THINGS.get(view.submission.task_category or "")
    if kind is None:
        return "appointment"
    if "party_size" in view.booking.unconfirmed:
        return kind
    return f"{kind}{part(' for {}', view.submission.party_size)}"


def unconfirmed(view: CallView) -> str:
    """What of the request could be in the calendar event, and is not: "7:00 PM, 4 people"."""
    asked = view.submission
    words = {
        "appointment_time": _time_asked(asked),
        "party_size": _people(asked),
        "departure_date": f"departure {departure_in(asked)}",
    }
    return ", ".join(words[name] for name in view.booking.unconfirmed)


def confirmed(view: CallView) -> list[str]:
    """What of the request the calendar event shows as it was asked for: "day", "time", "people"."""
    asked = view.submission
    given = {
        "day": asked.appointment_date,
        "time": asked.appointment_time,
        "people": asked.party_size,
        "departure": departure_in(asked),
    }
    missing = {_NAMES[name] for name in view.booking.unconfirmed}
    return [name for name, value in given.items() if value is not None and name not in missing]


def _time_asked(asked: Asked) -> str:
    read = time_of_day(asked.appointment_time)
    if read is not None:
        return hour(read)
    return quoted(str(asked.appointment_time), 40)


def booked_time(view: CallView, reader: Reader, *, in_row: bool = False) -> str:
    """When the appointment begins, by the callee's clock, and the day of departure from a hotel.

    "" if it is not known.

    If the user's clock shows another time, it ends with "there"; or with the name of the request's
    zone, if the number does not show the callee's clock. `in_row`, no day has its weekday.
    """
    start = begins(view)
    departs = view.booking.departs_on
    if start is None:
        return ""
    text = day_and_hour(start, reader.now, in_row=in_row)
    text = with_place(text, start, view.submission.respondent_phone, view.zone_name, reader)
    if departs is None:
        return text
    return f"{text} to {day_and_hour(departs, reader.now, in_row=in_row)}"


def asked_time(view: CallView, reader: Reader) -> str:
    """The day and time of the submission, by the clock of `begins`.

    Only the time, if the appointment is that day.
    """
    start = begins(view) or reader.now
    at = view.submission.appointment_time
    try:
        day = date.fromisoformat(view.day) if view.day else start
        if at is None:
            return day_and_hour(day, reader.now)
        asked = datetime.combine(day, _read_time(at), zone_of(view.zone_name))
        return time_on(at_callee(asked, view.submission.respondent_phone), start, reader.now)
    except (ValueError, OverflowError):  # OverflowError: a time near the year 1 or 9999
        return quoted(" ".join(filter(None, (view.day, at))))


def _read_time(text: str) -> time:
    return time_of_day(text) or time.fromisoformat(text)


def begins(view: CallView) -> date | datetime | None:
    """When the appointment begins, by the callee's clock, else in the zone of the request."""
    return _at_callee(view.booking.event.start, view)


def _at_callee(moment: date | datetime | None, view: CallView) -> date | datetime | None:
    if not isinstance(moment, datetime):
        return moment
    return at_callee(moment, view.submission.respondent_phone)
