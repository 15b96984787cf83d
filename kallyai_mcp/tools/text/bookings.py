"""Texts about a booking: what is not certain about it, and what other calls have to do with it."""

from datetime import datetime, time

from kallyai_mcp.calls.about_booking import Change, about_call_id
from kallyai_mcp.calls.other_time import forbids_other_time
from kallyai_mcp.calls.outcome import BOOKED, Outcome
from kallyai_mcp.tools.facets.booking_history import Event
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.submissions import other_times_text, spans_in
from kallyai_mcp.tools.text.calendar import asked_time, booked_time, confirmed, thing
from kallyai_mcp.tools.text.plain import (
    Reader,
    hour,
    listed,
    one_line,
    part,
    party_of,
    quoted,
    word,
)
from kallyai_mcp.tools.text.report import report_of

SAY = {
    # What was booked
    "booked": "Booked: {what} at {party}, {when}.",
    "was_booked": "Was booked: {what} at {party}, {when}.",
    "booked_allowed": ("Booked: {what} at {party}, {when}, one of the other times that you gave."),
    "booked_other_time": "Booked for another time: {when}; you asked for {asked}. {party}.",
    "words_differ": "They agreed to {agreed}; the calendar says {when}. Check it.",
    "report_differs": "KallyAI reports {agreed}; the calendar says {when}. Check it.",
    "event": "KallyAI's calendar has the event.",
    "event_confirms": "The calendar event confirms the {what}.",
    # What is not certain
    "tell_now": "Tell the user now and ask if that works.",
    "no_event": "KallyAI's calendar has no event for this call, so no booking is confirmed.",
    "calendar_not_known": (
        "Whether it booked something is not known: no calendar file shows it. get_call asks again."
    ),
    "nothing_agreed": "Take nothing as agreed.",
    "may_be_agreed": (
        "No calendar event shows whether anything was agreed; ask the user before another call."
    ),
    "other_times": (
        "KallyAI was told to agree to no other time{but}. If the user wants one: make_call with "
        "its day and time{change}."
    ),
    "not_asked": "{times} {was} not asked about.",
    # Other calls
    "replaces": "It replaces the booking of {booking}.",
    "about": "It was about the booking of {booking}, which stands unless they changed it.",
    "canceled": "It was about the booking of {booking}.",
    "kept": "It was about the booking of {booking}, which KallyAI was told to keep.",
    "not_shown": "It was about what {booking} asked for, which no calendar event shows.",
    "moved": "Moved: call {id} has booked {to} instead.",
    "file_cancels": "The file takes it out of a calendar.",
    "newest_event": "Moved: call {id} has booked {to} instead. This is its event.",
    "was_canceled": "They say that it is canceled: {quote} ({at}call_id {id}).",
    "asked_about": "A later call was about this booking{report} (call_id {id}).",
    "ahead": (
        "An earlier call booked there: {booking}.{later} Nothing shows that this call has changed "
        "it. To move or cancel it: changes_call_id and change."
    ),
    "two_bookings": (
        "This is a second booking there; an earlier call booked {booking}.{later} As far as is "
        "known, both stand. To move or cancel that one: changes_call_id and change."
    ),
}

_LONGEST_TIME = 60
"""Characters of a time in words."""

NOTHING_SHOWN = (Outcome.FAILED, Outcome.CANCELED, Outcome.UNKNOWN)
"""The outcomes after which something may have been agreed that nothing shows."""


def booked(view: CallView, reader: Reader) -> str:
    """That something was booked: as asked, at a time that was allowed, or at another one."""
    party = party_of(view.submission)
    when = booked_time(view, reader)
    if view.related.is_past:
        return SAY["was_booked"].format(what=thing(view), party=party, when=when)
    if view.outcome is not Outcome.BOOKED_OTHER_TIME:
        return SAY["booked"].format(what=thing(view), party=party, when=when)
    if view.booking.agreed is not None:
        agreed = one_line(view.booking.agreed.time, _LONGEST_TIME)
        differs = "report_differs" if view.booking.agreed.at is None else "words_differ"
        return SAY[differs].format(agreed=agreed, when=when)
    if view.booking.is_at_allowed_time:
        return SAY["booked_allowed"].format(what=thing(view), party=party, when=when)
    asked = asked_time(view, reader)
    return SAY["booked_other_time"].format(when=when, asked=asked, party=party)


def event_confirms(view: CallView) -> str:
    """What of a request the calendar event confirms; "" if another time is booked, or the booking
    was changed since.
    """
    if view.outcome is not Outcome.BOOKED or view.related.is_past:
        return ""
    shown = confirmed(view)
    if not shown:
        return SAY["event"]
    return SAY["event_confirms"].format(what=listed(shown))


def doubt(view: CallView) -> str:
    """What is not certain about the outcome of a call, or must be asked at once.

    "" if there is nothing.
    """
    if view.outcome in NOTHING_SHOWN:
        if has_agreed_nothing(view):
            return SAY["nothing_agreed"]
        return SAY["may_be_agreed"]
    if view.outcome is Outcome.BOOKED_OTHER_TIME:
        return _doubt_of_time(view)
    if view.is_calendar_unread:
        return SAY["calendar_not_known"]
    return SAY["no_event"] if lacks_booking(view) else ""


def has_agreed_nothing(view: CallView) -> bool:
    """Whether it is known that nobody was reached, and nothing was booked."""
    return view.reached is False and view.booking.appointment is None


def lacks_booking(view: CallView) -> bool:
    """Whether a booking was asked for, the callee answered, and none is in the calendar."""
    return view.outcome is Outcome.ANSWERED and view.is_without_event


def _doubt_of_time(view: CallView) -> str:
    """What to do about a booking for another time, until a later call was about it."""
    if view.related.later is not None:
        return ""
    says_already = view.booking.agreed is not None or view.booking.is_at_allowed_time
    if says_already:
        return ""
    return SAY["tell_now"]


def offer_not_accepted(view: CallView) -> str:
    """Which other times KallyAI was to accept, if not every one, and it has booked none although
    one was offered.

    Else "".
    """
    if not lacks_booking(view) or view.speech.offer is None:
        return ""
    times = one_line(other_times_text(view.submission), 80)
    may_be_any = not times and not forbids_other_time(view.submission)
    if may_be_any:
        return ""
    booking = about_call_id(view.submission)
    change = ""
    if booking is not None:
        change = f', changes_call_id "{word(booking)}", and change "move"'
    return SAY["other_times"].format(but=part(" than {}", times), change=change)


def not_asked_about(view: CallView) -> str:
    """Which of the other times nobody named in the conversation, in a sentence.

    Those after a time that was booked do not count; "" if there are none.
    """
    times = [_span(one) for one in view.speech.unasked if _comes_before_booked(one, view)]
    if not times or not (lacks_booking(view) or view.outcome in BOOKED):
        return ""
    was = "was" if len(times) == 1 else "were"
    return SAY["not_asked"].format(times=listed(times), was=was)


def _span(span: tuple[time, time]) -> str:
    first, last = span
    return hour(first) if first == last else f"{hour(first)} to {hour(last)}"


def _comes_before_booked(span: tuple[time, time], view: CallView) -> bool:
    """Whether the user prefers a span of times to the one that is booked, if any is."""
    start = view.booking.event.start
    if not isinstance(start, datetime):
        return True
    spans = spans_in(other_times_text(view.submission))
    booked = next((one for one in spans if one[0] <= start.time() <= one[1]), None)
    if booked is None:
        return view.outcome is Outcome.BOOKED_OTHER_TIME
    return spans.index(span) < spans.index(booked)


def before(view: CallView, reader: Reader) -> str:
    """What the call has done with the booking that it was about; "" if it was about none."""
    earlier = view.related.before
    if earlier is None:
        return ""
    booking = _booking(earlier, reader)
    if view.outcome in BOOKED:
        return SAY["replaces"].format(booking=booking)
    if view.booking.canceled is not None:
        return SAY["canceled"].format(booking=booking)
    if earlier.booking.appointment is None:
        return SAY["not_shown"].format(booking=booking)
    if view.change is Change.ASK:
        return SAY["kept"].format(booking=booking)
    return SAY["about"].format(booking=booking)


def moved(view: CallView, reader: Reader) -> str:
    """What a later call has done with the booking of a call; "" if there is none."""
    later = view.related.later
    if later is None:
        return ""
    id_ = word(later.id)
    if view.related.is_moved:
        return SAY["moved"].format(id=id_, to=booked_time(later, reader))
    if view.related.is_canceled:
        return _canceled_in(later)
    return SAY["asked_about"].format(id=id_, report=report_of(later))


def _canceled_in(call: CallView) -> str:
    """The callee's words in a call that say that a booking is canceled."""
    said = call.evidence
    if said is None:
        return ""
    return SAY["was_canceled"].format(
        quote=quoted(said.quote or ""), at=part("{}, ", said.at), id=word(call.id)
    )


def which_event(event: Event, reader: Reader) -> str:
    """That an event is canceled, or of a later call, or that a later call was about it; "" if none
    of this is so.
    """
    if event.history.canceled_by is not None:
        return f"{_canceled_in(event.history.canceled_by)} {SAY['file_cancels']}"
    if not event.is_moved:
        return moved(event.asked, reader)
    to = booked_time(event.view, reader)
    newest = SAY["newest_event"].format(id=word(event.view.id), to=to)
    return "\n".join(filter(None, (newest, moved(event.view, reader))))


def ahead(view: CallView, reader: Reader) -> str:
    """The booking of an earlier call to the same number that lies ahead; "" without one."""
    earlier = view.related.ahead
    if earlier is None:
        return ""
    say = SAY["two_bookings" if view.outcome in BOOKED else "ahead"]
    return say.format(booking=_booking(earlier, reader), later=part(" {}", moved(earlier, reader)))


def _booking(view: CallView, reader: Reader) -> str:
    id_ = f"call_id {word(view.id)}"
    when = booked_time(view, reader)
    return f"{when} ({id_})" if when else id_
