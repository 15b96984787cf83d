"""Texts about a booking: what is not certain about it, and what other calls have to do with it."""

from kallyai_mcp.calls.about_booking import about_call_id
from kallyai_mcp.calls.kept_booking import keeps_booking
from kallyai_mcp.calls.other_time import forbids_other_time
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.relations import BOOKED
from kallyai_mcp.tools.submissions import other_times_text
from kallyai_mcp.tools.text.calendar import asked_time, booked_time, thing
from kallyai_mcp.tools.text.plain import Reader, one_line, party_of, word
from kallyai_mcp.tools.text.report import report_of

SAY = {
    # What was booked
    "booked": "Booked: {what} at {party}, {when}{allowed}.",
    "booked_other_time": "Booked for another time: {when}; you asked for {asked}. {party}.",
    "report_differs": (
        "Booked for another time: the calendar says {when}; KallyAI's report says "
        "{reported}. {party}."
    ),
    "allowed": ", one of the other times that you gave",
    # What is not certain
    "tell_now": "Tell the user now and ask if that works.",
    "check_it": "Check it before you tell the user.",
    "no_event": "KallyAI's calendar has no event for this call, so no booking is confirmed.",
    "calendar_not_known": (
        "Whether it booked something is not known: no calendar file shows it. get_call asks again."
    ),
    "nothing_agreed": "Take nothing as agreed.",
    "may_be_agreed": (
        "Whether anything was agreed is not certain; ask the user before another call."
    ),
    "other_times": (
        "KallyAI was told to agree to no other time{but}. If the user wants one: make_call with "
        "its day and time{change}."
    ),
    # Other calls
    "replaces": "It replaces the booking of {booking}.",
    "about": "It was about the booking of {booking}, which stands unless they changed it.",
    "about_only": (
        "It was about the booking of {booking}, which stands unless they changed it. KallyAI was "
        "told to change nothing about it but what the task says."
    ),
    "moved": "Moved: call {id} has booked {to} instead.",
    "asked_about": "A later call was about this booking{report} (call_id {id}).",
    "ahead": (
        "An earlier call booked there: {booking}.{later} To change or cancel it: changes_call_id."
    ),
}

_NOTHING_SHOWN = (Outcome.FAILED, Outcome.CANCELED, Outcome.UNKNOWN)
"""The outcomes after which something may have been agreed that nothing shows."""


def booked(view: CallView, reader: Reader) -> str:
    """That something was booked: as asked, at a time that was allowed, or at another one."""
    party, when = party_of(view.submission), booked_time(view, reader)
    booking, allowed = view.booking, ""
    if view.outcome is Outcome.BOOKED_OTHER_TIME:
        if booking.reported_time is not None:
            reported = booking.reported_time
            return SAY["report_differs"].format(when=when, reported=reported, party=party)
        if not booking.is_at_allowed_time:
            asked = asked_time(view, reader)
            return SAY["booked_other_time"].format(when=when, asked=asked, party=party)
        allowed = SAY["allowed"]
    return SAY["booked"].format(what=thing(view), party=party, when=when, allowed=allowed)


def doubt(view: CallView) -> str:
    """What is not certain about the outcome of a call, or must be asked at once.

    "" if there is nothing.
    """
    if view.outcome in _NOTHING_SHOWN:
        is_nothing_agreed = view.reached is False and view.booking.appointment is None
        return SAY["nothing_agreed" if is_nothing_agreed else "may_be_agreed"]
    if view.outcome is Outcome.BOOKED_OTHER_TIME:
        return _doubt_of_time(view)
    if view.is_calendar_unread:
        return SAY["calendar_not_known"]
    is_expected = view.outcome is Outcome.ANSWERED and view.is_without_event
    return SAY["no_event"] if is_expected else ""


def _doubt_of_time(view: CallView) -> str:
    """What to do about a booking for another time, until a later call was about it."""
    if view.related.later is not None:
        return ""
    if view.booking.reported_time is not None:
        return SAY["check_it"]
    return "" if view.booking.is_at_allowed_time else SAY["tell_now"]


def offer_not_accepted(view: CallView) -> str:
    """Which other times KallyAI was to accept, if not every one, and it has booked none.

    Else "".
    """
    if view.outcome is not Outcome.ANSWERED or not view.is_without_event:
        return ""
    times = other_times_text(view.submission)
    if not times and not forbids_other_time(view.submission):
        return ""
    booking = about_call_id(view.submission)
    change = f' and changes_call_id "{word(booking)}"' if booking else ""
    but = f" than {one_line(times, 80)}" if times else ""
    return SAY["other_times"].format(but=but, change=change)


def before(view: CallView, reader: Reader) -> str:
    """What the call has done with the booking that it was about; "" if it was about none."""
    earlier = view.related.before
    if earlier is None:
        return ""
    key = "about_only" if keeps_booking(view.submission) else "about"
    if view.outcome in BOOKED:
        key = "replaces"
    return SAY[key].format(booking=_booking(earlier, reader))


def moved(view: CallView, reader: Reader) -> str:
    """What a later call has done with the booking of a call; "" if there is none."""
    later = view.related.later
    if later is None:
        return ""
    id_ = word(later.call_id or "")
    if view.related.is_moved:
        return SAY["moved"].format(id=id_, to=booked_time(later, reader))
    return SAY["asked_about"].format(id=id_, report=report_of(later))


def ahead(view: CallView, reader: Reader) -> str:
    """The booking of an earlier call to the same number that lies ahead; "" without one."""
    earlier = view.related.ahead
    if earlier is None:
        return ""
    later = moved(earlier, reader)
    booking = _booking(earlier, reader)
    return SAY["ahead"].format(booking=booking, later=f" {later}" if later else "")


def _booking(view: CallView, reader: Reader) -> str:
    id_ = f"call_id {word(view.call_id or '')}"
    when = booked_time(view, reader)
    return f"{when} ({id_})" if when else id_
