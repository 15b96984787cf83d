"""Texts about one call: its outcome, its progress, when it is due, a duplicate, and whether it was canceled."""

from datetime import datetime, timedelta
from itertools import groupby

from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.kept_booking import keeps_booking
from kallyai_mcp.calls.numbers import local_time
from kallyai_mcp.calls.other_time import forbids_other_time
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.schedule import is_past_appointment, next_attempt
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.tools.call_view import BOOKED, CallView, Quote
from kallyai_mcp.tools.submissions import changes_in, other_times_text
from kallyai_mcp.tools.text.calendar import asked_time, booked_time, thing, unconfirmed
from kallyai_mcp.tools.text.consent import Words
from kallyai_mcp.tools.text.errors import error_text, what_happened
from kallyai_mcp.tools.text.plain import (
    LIMIT,
    Reader,
    at_callee,
    day_and_hour,
    duration,
    hour,
    one_line,
    party_of,
    quoted,
    sentence,
    with_place,
    word,
    zone_of,
)

SAY = {
    # Outcomes
    "booked": "Booked: {what} at {party}, {when}{allowed}.",
    "booked_other_time": "Booked for another time: {when}; you asked for {asked}. {party}.",
    "report_differs": ("Booked for another time: the calendar says {when}; KallyAI's report says {reported}. {party}."),
    "allowed": ", one of the other times that you gave",
    "tell_now": "Tell the user now and ask if that works.",
    "check_it": "Check it before you tell the user.",
    "unconfirmed": "The calendar event does not confirm this: {what}.",
    "no_event": "KallyAI's calendar has no event for this call, so no booking is confirmed.",
    "calendar_not_known": "Whether it booked something is not known: no calendar file shows it. get_call asks again.",
    "nothing_agreed": "Take nothing as agreed.",
    "may_be_agreed": "Whether anything was agreed is not certain; ask the user before another call.",
    "status": "Unknown: it is not clear how the call to {party} ended; its status is {status}.",
    "unknown": (
        "Unknown: no usable answer came after the request was sent, so {party} may have been called. Check with "
        'get_call "{id}" and list_calls before anything else; do not place the call again. If the user wants a second '
        "call on purpose: redial=true."
    ),
    "other_times": (
        "KallyAI was told to agree to no other time{but}. If the user wants one: make_call with its day and "
        "time{change}."
    ),
    # After nobody was reached
    "time_there": "It is {time} there.",
    "try_again": "To try again: make_call with the same arguments{later}.",
    "after_message": "If that message is not enough: make_call with the same arguments{later}.",
    "later": ', not_before "{due}", retries 2',
    "attempt": "Attempt {number} of {count}. Before: {earlier}.",
    # A call that goes on, or is due
    "in_progress": (
        "In progress: the call to {party} has lasted {elapsed}. It continues without you; do not place it again."
    ),
    "status_only": "KallyAI gives the call to {party} the status {status}; it may go on. Do not place it again.",
    "being_checked": (
        "Being checked: no usable answer came, so {party} may have been called. The check ends about {until}; do not "
        "place the call again."
    ),
    "not_placed_yet": (
        "Not placed yet: KallyAI has not been reached. This program tries until {until} at the latest and then gives "
        "up; do not place the call again."
    ),
    "next": 'Next: get_call with call_id "{id}" and wait_seconds {wait:g}.',
    "scheduled": (
        "Scheduled: {party}, {when}.{attempts} The kallyai-mcp server must be running then (on the user's own "
        "computer: with this client open), else it is not placed.\n"
        "tracking_id {id}; get_call tells the outcome then; cancel_call cancels it."
    ),
    # A call that was asked for again
    "already": "Already called {ago} ago; no new call was placed. To call again on purpose: redial=true.",
    # Canceling
    "canceled": "Canceled: {party} will not be called{again}.",
    "not_canceled": "Not canceled: {why}. This program will not place it again.",
    # Other bookings
    "replaces": "It replaces the booking of {booking}.",
    "about": "It was about the booking of {booking}, which stands unless they changed it.",
    "about_only": (
        "It was about the booking of {booking}, which stands unless they changed it. KallyAI was told "
        "to change nothing about it but what the task says."
    ),
    "moved": "Moved: call {id} has booked {to} instead.",
    "asked_about": "A later call was about this booking{report} (call_id {id}).",
    "ahead": "An earlier call booked there: {booking}.{later} To change or cancel it: changes_call_id.",
    # What was said
    "unanswered": "The answers are not known: no transcript can be read now. get_transcript tries again.",
    "no_transcript": "KallyAI has no transcript of this call, so only its report can have the answers.",
    "whole": "Each quote is their whole reply, up to KallyAI's next words.",
    "not_answered": "Not answered in the conversation.",
    "suggests": "KallyAI suggests: {said}",
}

ASKED_BEFORE = "Asked for before; no new call was placed. "

_REASONS = {"no_answer": "no answer", "busy": "busy", "voicemail": "voicemail", "terminated": "ended early"}
"""What a status says in addition to the outcome."""

_STATES = {name: name for name in ("scheduled", "expired", "canceled", "unknown")}
_STATES |= {"in_progress": "in progress", "refused": "not called"}
"""Our own statuses in words; any other one is KallyAI's."""


def call_text(view: CallView, reader: Reader, *, is_duplicate: bool = False) -> str:
    """A call in words: why it was not placed, its outcome, when it is due, or its progress.

    `is_duplicate`: the call was asked for before.
    """
    record, before = view.record, ASKED_BEFORE if is_duplicate else ""
    if view.refusal is not None:
        text = error_text(view.refusal, places_calls=True)
        return refused_again(text, record, reader) if record is not None and record.schedule.earlier else text
    if view.call is not None and view.outcome is not None:
        return _outcome(view, view.call, reader, is_duplicate=is_duplicate)
    if record is not None and record.state is CallState.UNKNOWN:
        return before + SAY["unknown"].format(party=party_of(record.submission), id=record.tracking_id)
    if record is not None and record.state is CallState.SCHEDULED:
        return before + _scheduled(record, reader)
    id_ = record.tracking_id if record is not None else one_line(view.call_id or "")
    return f"{before}{_progress(view, reader)}\n{SAY['next'].format(id=id_, wait=reader.wait_seconds)}"


def refused_again(text: str, record: CallRecord, reader: Reader) -> str:
    """The `text` about why an attempt was refused, and the earlier attempts."""
    return f"Not called again:{text.removeprefix('Not called:')}\n{attempts(record, reader)}"


def cancel_text(view: CallView, status: str | None, reader: Reader) -> str:
    """Whether a call was canceled, which is its `status` then; if not, how far it is, or how it ended."""
    if status == CallState.CANCELED:
        again = " again" if view.record is not None and view.record.schedule.earlier else ""
        return SAY["canceled"].format(party=party_of(view.submission), again=again)
    why = "it is over" if status == "over" else "it is in progress, and can't be hung up"
    return f"{SAY['not_canceled'].format(why=why)}\n{call_text(view, reader)}"


def state_in_words(view: CallView) -> str:
    """How a call ended, or how far it is: "not reached". "answered*": whether it booked something was not checked."""
    if view.related.is_moved:
        return "moved"
    if view.is_being_checked:
        return "being checked"
    if view.outcome in (None, Outcome.UNKNOWN):
        is_retry = view.record is not None and bool(view.record.schedule.earlier)
        again = " again" if is_retry and view.status == CallState.REFUSED else ""
        return f"{_STATES.get(view.status) or quoted(view.status, 24)}{again}"
    words = "booked for another time" if view.outcome is Outcome.BOOKED_OTHER_TIME else view.outcome.replace("_", " ")
    return f"{words}{'*' if view.is_calendar_unread else ''}"


def reason(view: CallView) -> str:
    """What there is to say besides `state_in_words`: "busy", or why a call was refused; "" if there is nothing."""
    record = view.record
    if record is not None and record.state is CallState.REFUSED and record.error is not None:
        return what_happened(record.error)
    return _REASONS.get(view.call.plain_status, "") if view.call is not None else ""


def _outcome(view: CallView, call: Call, reader: Reader, *, is_duplicate: bool) -> str:
    record, related, what = view.record, view.related, unconfirmed(view)
    lines = [
        SAY["already"].format(ago=duration(record.elapsed(reader.now))) if is_duplicate and record is not None else "",
        moved(view, reader),
        " ".join(filter(None, (_headline(view, call, reader), doubt(view), _before(view, reader)))),
        SAY["unconfirmed"].format(what=what) if what else "",
        *said_in(view),
        offer_not_accepted(view),
        _try_again(view, call, reader) if view.outcome is Outcome.NOT_REACHED and view.reached is False else "",
        _ahead(related.ahead, reader) if related.ahead is not None else "",
        f"call_id {word(call.call_id)}{_more(view, call)}.",
        attempts(record, reader) if record is not None else "",
    ]
    return "\n".join(filter(None, lines))


def _headline(view: CallView, call: Call, reader: Reader) -> str:
    party, why = party_of(view.submission), reason(view)
    if view.outcome is Outcome.UNKNOWN:
        return SAY["status"].format(party=party, status=quoted(call.status, 24))
    if view.outcome in BOOKED:
        return _booked(view, reader)
    facts = f"{why} at {party}" if why else party
    if call.duration_seconds is not None:
        facts += f"{' after' if why else ','} {duration(call.duration_seconds)}"
    text = f"{state_in_words(view).rstrip('*').capitalize()}: {facts}."
    phone = view.submission.respondent_phone
    local = local_time(phone, reader.now) if phone and view.outcome is Outcome.NOT_REACHED else None
    return f"{text} {SAY['time_there'].format(time=hour(local))}" if local is not None else text


def _booked(view: CallView, reader: Reader) -> str:
    """That something was booked, and when: as asked, at a time that was allowed, or at another one."""
    party, when = party_of(view.submission), booked_time(view, reader)
    is_other_time = view.outcome is Outcome.BOOKED_OTHER_TIME
    if is_other_time and view.reported_time is not None:
        return SAY["report_differs"].format(when=when, reported=view.reported_time, party=party)
    if is_other_time and not view.is_at_allowed_time:
        return SAY["booked_other_time"].format(when=when, asked=asked_time(view, reader), party=party)
    allowed = SAY["allowed"] if is_other_time else ""
    return SAY["booked"].format(what=thing(view), party=party, when=when, allowed=allowed)


def doubt(view: CallView) -> str:
    """What is not certain about the outcome of a call, or must be asked at once; "" if there is nothing."""
    if view.outcome in (Outcome.FAILED, Outcome.CANCELED, Outcome.UNKNOWN):
        return SAY["nothing_agreed" if view.reached is False and view.appointment is None else "may_be_agreed"]
    if view.outcome is Outcome.BOOKED_OTHER_TIME:
        return _doubt_of_time(view)
    if view.is_calendar_unread:
        return SAY["calendar_not_known"]
    return SAY["no_event"] if view.outcome is Outcome.ANSWERED and view.is_without_event else ""


def _doubt_of_time(view: CallView) -> str:
    """What to do about a booking for another time, until a later call was about it."""
    if view.related.later is not None:
        return ""
    if view.reported_time is not None:
        return SAY["check_it"]
    return "" if view.is_at_allowed_time else SAY["tell_now"]


def said_in(view: CallView, limit: int = LIMIT, *, with_questions: bool = True) -> list[str]:
    """What KallyAI reports of a call and suggests, and the callee's words; an answer has its question or its number."""
    call, lines = view.call, list[str]()
    if call is not None and call.highlights:
        is_timed = view.appointment is not None and call.duration_seconds is not None
        lasted = f" {duration(call.duration_seconds or 0)}." if is_timed else ""
        lines.append(f"KallyAI: {quoted(sentence(call.highlights), limit)}{lasted}")
    lines += [_they_said(view.evidence)] if view.evidence is not None else []
    if view.is_unanswered:
        lines.append(SAY["unanswered" if view.has_transcript else "no_transcript"])
    for number, (question, quotes) in enumerate(groupby(view.answers, lambda one: one.question or ""), 1):
        first = f"- {quoted(question, 200)}" if with_questions else f"{number}."
        lines.append(f"{first} {' Or: '.join(map(_they_said, quotes))}")
    found = [one.quote for one in view.answers if one.quote is not None]
    is_whole = view.outcome is not Outcome.FAILED and not any(quote.endswith("[cut]") for quote in found)
    if with_questions and found and is_whole:
        lines.append(SAY["whole"])
    if view.suggestion:
        lines.append(SAY["suggests"].format(said=quoted(sentence(view.suggestion), limit)))
    return lines


def _they_said(quote: Quote) -> str:
    """The callee's own words: 'They said (0:31): "We have nothing at seven."'."""
    if quote.quote is None:
        return SAY["not_answered"]
    return f"They said{f' ({quote.at})' if quote.at else ''}: {quoted(quote.quote)}"


def _more(view: CallView, call: Call) -> str:
    """The tools that tell more about a call."""
    has_words = view.outcome is not Outcome.NOT_REACHED or call.plain_status == "voicemail"
    tools = ["get_calendar_event"] if view.appointment is not None else []
    tools += ["get_transcript"] if has_words and view.has_transcript else []
    text = f"; {', '.join(tools)}" if tools else ""
    if view.appointment is not None and view.related.later is None:
        text += "; to change or cancel it: changes_call_id"
    return text


def _before(view: CallView, reader: Reader) -> str:
    """What the call has done with the booking that it was about."""
    before = view.related.before
    if before is None:
        return ""
    key = "about"
    if view.outcome in BOOKED:
        key = "replaces"
    elif keeps_booking(view.submission):
        key = "about_only"
    return SAY[key].format(booking=_booking(before, reader))


def moved(view: CallView, reader: Reader) -> str:
    """What a later call has done with the booking of a call; "" if there is none."""
    later = view.related.later
    if later is None:
        return ""
    key = "moved" if view.related.is_moved else "asked_about"
    return SAY[key].format(id=word(later.call_id or ""), to=booked_time(later, reader), report=report_of(later))


def report_of(later: CallView) -> str:
    """What KallyAI reports of a later call about a booking: ': "Canceled the table."'."""
    report = later.call.highlights if later.call is not None else None
    return f": {quoted(sentence(report), 120)}" if report else ""


def _ahead(booked: CallView, reader: Reader) -> str:
    later = moved(booked, reader)
    return SAY["ahead"].format(booking=_booking(booked, reader), later=f" {later}" if later else "")


def _booking(view: CallView, reader: Reader) -> str:
    when, id_ = booked_time(view, reader), f"call_id {word(view.call_id or '')}"
    return f"{when} ({id_})" if when else id_


def _try_again(view: CallView, call: Call, reader: Reader) -> str:
    """How to call again after nobody was reached: when the callee's day allows it, and before the appointment."""
    asked, zone = view.submission, view.zone_name
    if view.related.planned is not None:
        return call_text(CallView.of_record(view.related.planned), reader)
    key, later = "after_message" if call.plain_status == "voicemail" and call.highlights else "try_again", ""
    if reader.schedules and asked.respondent_phone:
        due = next_attempt(reader.now, asked.respondent_phone, zone) + timedelta(seconds=59)
        if not (isinstance(asked, Submission) and is_past_appointment(asked, due, zone)):
            later = SAY["later"].format(due=due.astimezone(zone_of(zone)).isoformat(timespec="minutes"))
    return SAY[key].format(later=later)


def offer_not_accepted(view: CallView) -> str:
    """Which other times KallyAI was to accept, if not every one, and it has booked none; else ""."""
    if view.outcome is not Outcome.ANSWERED or not view.is_without_event:
        return ""
    times = other_times_text(view.submission)
    if not times and not forbids_other_time(view.submission):
        return ""
    booking = changes_in(view.submission)
    change = f' and changes_call_id "{word(booking)}"' if booking else ""
    return SAY["other_times"].format(but=f" than {one_line(times, 80)}" if times else "", change=change)


def _progress(view: CallView, reader: Reader) -> str:
    """How far a call is; about a call that only KallyAI has, the text says no more than its status does."""
    party, record, call, began = party_of(view.submission), view.record, view.call, view.placed_at
    if record is not None and view.is_not_placed_yet(reader.now):
        limit = record.placed_at + timedelta(seconds=Timing.send_within)
        return SAY["not_placed_yet"].format(until=_end(min(limit, record.schedule.place_by or limit), reader))
    if record is not None and record.response_lost_at is not None and view.is_being_checked:
        until = _end(record.response_lost_at + timedelta(seconds=reader.search_seconds), reader)
        return SAY["being_checked"].format(party=party, until=until)
    if call is not None and (call.plain_status != "in_progress" or began is None):
        return SAY["status_only"].format(party=party, status=quoted(call.status, 24))
    elapsed = duration(max(0.0, (reader.now - began).total_seconds())) if began is not None else ""
    return SAY["in_progress"].format(party=party, elapsed=elapsed)


def _end(moment: datetime, reader: Reader) -> str:
    """The time of day after `moment`, in whole minutes."""
    end = reader.local(moment) + timedelta(minutes=1)
    return with_place(hour(end), end, None, reader.timezone, reader)


def _scheduled(record: CallRecord, reader: Reader) -> str:
    """A call that is due later, for the first time or again."""
    schedule, asked = record.schedule, record.submission
    count = attempts(record, reader) or (f"Up to {schedule.attempts} attempts." if schedule.attempts > 1 else "")
    return SAY["scheduled"].format(
        party=party_of(asked),
        when=Words().due(schedule, asked.respondent_phone, record.timezone, reader),
        attempts=f" {count}" if count else "",
        id=record.tracking_id,
    )


def attempts(record: CallRecord, reader: Reader) -> str:
    """Which attempt a call was, and how the earlier ones ended, by the callee's clock; "" if there were none."""
    schedule, number, earlier = record.schedule, record.submission.respondent_phone, list[str]()
    for one in schedule.earlier:
        at = at_callee(one.at.astimezone(zone_of(record.timezone)), number)
        said = f"{_REASONS[one.status]} {day_and_hour(at, reader.now)}"
        earlier.append(with_place(said, at, number, record.timezone, reader))
    if not earlier:
        return ""
    count = max(schedule.attempt, schedule.attempts)
    return SAY["attempt"].format(number=schedule.attempt, count=count, earlier="; ".join(earlier))
