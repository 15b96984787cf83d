"""Texts about one call: its outcome, its progress, a duplicate."""

from datetime import date, datetime, timedelta

from kallyai_mcp.api.errors import RateLimitedError
from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.appointment import time_of_day, with_zone
from kallyai_mcp.calls.numbers import local_time
from kallyai_mcp.calls.other_time import forbids_other_time
from kallyai_mcp.calls.outcome import NOBODY_REACHED, Outcome
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.schedule import is_past_appointment, next_attempt
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.tools.call_view import BOOKED, Answer, CallView, Quote
from kallyai_mcp.tools.instructions import changes_in, departure_in, other_times_text
from kallyai_mcp.tools.text.errors import error_text
from kallyai_mcp.tools.text.plain import LIMIT, ago, call_id, duration, one_line, party_of, quoted, sentence, zone_of
from kallyai_mcp.tools.text.scheduled import scheduled
from kallyai_mcp.tools.text.times import Reader, at_callee, day_and_hour, hour, with_place
from kallyai_mcp.tools.text.words import Words

SAY = {
    # Outcomes
    "booked": "Booked: {what}{when}.",
    "booked_other_time": "Booked for another time: {when}; you asked for {asked}. {party}.",
    "booked_allowed": "Booked: {what}, {when}, one of the other times that you gave.",
    "tell_now": "Tell the user now and ask if that works.",
    "unconfirmed": "The calendar event does not confirm this: {what}.",
    "answered": "Answered: {party}{lasted}.",
    "no_event": (
        "KallyAI's calendar has no event for this call, so no new booking is certain. Ask the user before another call "
        "there."
    ),
    "calendar_not_known": (
        "Whether an appointment was made is not known: no calendar file shows it. get_call asks again."
    ),
    "no_answer": "Not reached: no answer at {party}{after}.",
    "busy": "Not reached: the line of {party} was busy.",
    "voicemail": "Not reached: voicemail at {party}{after}.",
    "time_there": "It is {time} there.",
    "try_again": "To try again: make_call with the same arguments{later}.",
    "after_message": "If that message is not enough: make_call with the same arguments{later}.",
    "planned": 'Attempt {number} of {count}: {when}. get_call "{id}" follows it, and cancel_call cancels it.',
    "other_times": (
        "Of other times, KallyAI was to accept {times}. If they offered another: make_call with that day and "
        "time{change}."
    ),
    "later": ', not_before "{due:%Y-%m-%dT%H:%M}", retries 2',
    "failed": "Failed: the call to {party} failed{after}.",
    "terminated": "Failed: KallyAI ended the call to {party} early{after}.",
    "canceled": "Canceled: the call to {party} was canceled{after}.",
    "nothing_agreed": "Take nothing as agreed.",
    "may_be_agreed": (
        "Somebody may have talked and agreed to something: read get_transcript, and ask the user before another call."
    ),
    "status": "Unknown: it is not clear how the call to {party} ended; its status is {status}{but}.",
    "contradicted": ", but KallyAI shows an appointment or words of the callee",
    "unknown": (
        "Unknown: no usable answer came after the request was sent, so {party} may have been called. Check with "
        'get_call "{id}" and list_calls before anything else; do not place the call again. If the user wants a second '
        "call on purpose: redial=true."
    ),
    # A call that goes on
    "in_progress": "In progress: the call to {party} has lasted {elapsed}.",
    "in_progress_duplicate": "In progress already; no new call was placed. The call to {party} has lasted {elapsed}.",
    "status_only": (
        "In progress, as far as is known: KallyAI gives the call to {party} the status {status}. It may go on; do not "
        "place it again."
    ),
    "being_checked": (
        "Being checked: no usable answer came, so {party} may have been called. The check ends about {until}; do not "
        "place the call again."
    ),
    "limited": (
        "Being checked: KallyAI gets too many requests. Unless its list shows a call to {party}, this program tries "
        "again soon, or gives up."
    ),
    "continues": "It continues without you; do not place it again.",
    "not_placed_yet": (
        "Not placed yet: {why}. This program tries until {until} at the latest and then gives up; do not place the "
        "call again."
    ),
    "next": 'Next: get_call with call_id "{id}"{waiting}.',
    # A call that was asked for again
    "already": "Already called {ago}; no new call was placed. To call again on purpose: redial=true.",
    "was_in_progress": "This call was already in progress and has now ended; no new call was placed.",
    # Other bookings
    "replaces": "It replaces the booking of {booking}.",
    "about": "It was about the booking of {booking}, which stands unless they changed it.",
    "moved": "Moved: call {id} has booked {to} instead.",
    "asked_about": "A later call was about this booking{report} (call_id {id}).",
    "ahead": "An earlier call booked there: {booking}.{later} To change or cancel it: changes_call_id.",
    # The callee's words
    "answers_unread": "The answers are not known: the transcript can't be read now. get_transcript tries again.",
    "no_transcript": "KallyAI has no transcript of this call, so only its report can have the answers.",
    "not_answered": "Not answered in the conversation.",
    # KallyAI's words
    "no_summary": "KallyAI gave no summary.",
    "suggests": "KallyAI suggests: {said}",
}


def call_text(view: CallView, reader: Reader, *, is_duplicate: bool = False, few_left: str = "") -> str:
    """A call in words: why it was not placed, its outcome, when it is due, or its progress.

    `is_duplicate`: a call without an outcome was asked for again. `few_left` says with an outcome what is left of the
    quota, if that is little.
    """
    record = view.record
    if view.refusal is not None:
        return error_text(view.refusal, places_calls=True)
    if view.call is not None and view.outcome is not None:
        return _outcome(view, view.call, reader, few_left)
    if record is not None and record.state is CallState.UNKNOWN:
        return SAY["unknown"].format(party=party_of(record.submission), id=record.tracking_id)
    if record is not None and record.state is CallState.SCHEDULED:
        return scheduled(record, reader, is_duplicate=is_duplicate)
    id_ = record.tracking_id if record is not None else one_line(view.call_id or "")
    waiting = f" and wait_seconds {reader.wait_seconds:g}" if reader.wait_seconds > 0 else ""
    return f"{_progress(view, reader, is_duplicate=is_duplicate)}\n{SAY['next'].format(id=id_, waiting=waiting)}"


def _outcome(view: CallView, call: Call, reader: Reader, few_left: str) -> str:
    said, related = view.said, view.related
    is_unread = view.calendar is not None and not view.calendar.is_known
    lines = [
        moved(view, reader),
        " ".join(filter(None, (_headline(view, call, reader), _before(view, reader)))),
        _report(view, call),
        they_said(said.evidence) if said.evidence is not None else "",
        SAY[said.missing] if said.missing else "",
        *(f"- {quoted(one.question, 200)} {answered(one)}" for one in said.answers),
        _unconfirmed(view),
        SAY["calendar_not_known"] if is_unread else "",
        offer_not_accepted(view),
        suggested(view),
        _try_again(view, call, reader) if view.outcome is Outcome.NOT_REACHED else "",
        _ahead(related.ahead, reader) if related.ahead is not None else "",
        few_left,
        f"call_id {call_id(call.call_id)}{_more(view, call)}.",
    ]
    return "\n".join(filter(None, lines))


def _report(view: CallView, call: Call) -> str:
    """What KallyAI reports of the call."""
    parts = [f"KallyAI: {quoted(sentence(call.highlights))}" if call.highlights else ""]
    if view.appointment is not None or view.outcome is Outcome.ANSWERED:
        parts = [parts[0] or SAY["no_summary"]]
    if view.appointment is not None and call.duration_seconds is not None:
        parts.append(f"{duration(call.duration_seconds)}.")
    if view.outcome is Outcome.BOOKED_OTHER_TIME and not view.is_at_allowed_time and view.related.later is None:
        parts.append(SAY["tell_now"])
    return " ".join(filter(None, parts))


def suggested(view: CallView, limit: int = LIMIT) -> str:
    """What KallyAI suggests after a conversation; "" if a later call was about the booking."""
    said = view.call.next_steps if view.call is not None else None
    is_next = view.outcome in (Outcome.ANSWERED, *BOOKED) and view.related.later is None
    return SAY["suggests"].format(said=quoted(sentence(said), limit)) if said and is_next else ""


def _more(view: CallView, call: Call) -> str:
    """The tools that tell more about a call."""
    has_words = view.outcome not in (Outcome.NOT_REACHED, Outcome.CANCELED) or call.plain_status == "voicemail"
    tools = ["get_calendar_event"] if view.appointment is not None else []
    tools += ["get_transcript"] if has_words and view.said.missing != "no_transcript" else []
    parts = [", ".join(tools)] if tools else []
    if view.appointment is not None and view.related.later is None:
        parts.append("to change or cancel it: changes_call_id")
    return "".join(f"; {part}" for part in parts)


def _before(view: CallView, reader: Reader) -> str:
    """What the call has done with the booking that it was about."""
    before = view.related.before
    key = "replaces" if view.outcome in BOOKED else "about"
    return SAY[key].format(booking=_booking(before, reader)) if before is not None else ""


def moved(view: CallView, reader: Reader) -> str:
    """What a later call has done with the booking of a call; "" if there is none."""
    later = view.related.later
    if later is None:
        return ""
    key = "moved" if view.related.is_moved else "asked_about"
    return SAY[key].format(id=call_id(later.call_id or ""), to=booked_time(later, reader), report=report_of(later))


def report_of(later: CallView) -> str:
    """What KallyAI reports of a later call about a booking: ': "Canceled the table."'."""
    report = later.call.highlights if later.call is not None else None
    return f": {quoted(sentence(report), 120)}" if report else ""


def _ahead(booked: CallView, reader: Reader) -> str:
    later = moved(booked, reader)
    return SAY["ahead"].format(booking=_booking(booked, reader), later=f" {later}" if later else "")


def _booking(view: CallView, reader: Reader) -> str:
    when = booked_time(view, reader)
    return f"{when} (call_id {call_id(view.call_id or '')})" if when else f"call_id {call_id(view.call_id or '')}"


def they_said(quote: Quote) -> str:
    """The callee's own words: 'They said (0:31): "We have nothing at seven."'."""
    return f"They said{f' ({quote.at})' if quote.at else ''}: {quoted(quote.quote)}"


def answered(one: Answer) -> str:
    """The words that followed a question."""
    return " Or: ".join(map(they_said, one.quotes)) or SAY["not_answered"]


def _headline(view: CallView, call: Call, reader: Reader) -> str:
    party = party_of(view.submission)
    lasted = duration(call.duration_seconds) if call.duration_seconds is not None else ""
    values = {"party": party, "after": f" after {lasted}" if lasted else "", "status": quoted(call.status, 24)}
    match view.outcome:
        case Outcome.BOOKED:
            when = booked_time(view, reader)
            return SAY["booked"].format(what=f"{thing(view)} at {party}", when=f", {when}" if when else "")
        case Outcome.BOOKED_OTHER_TIME if view.is_at_allowed_time:
            return SAY["booked_allowed"].format(what=f"{thing(view)} at {party}", when=booked_time(view, reader))
        case Outcome.BOOKED_OTHER_TIME:
            when, asked = booked_time(view, reader), _asked(view, reader)
            return SAY["booked_other_time"].format(when=when, asked=asked, party=party)
        case Outcome.ANSWERED:
            answered_text = SAY["answered"].format(party=party, lasted=f", {lasted}" if lasted else "")
            return f"{answered_text} {SAY['no_event']}" if view.is_without_event else answered_text
        case Outcome.NOT_REACHED:
            local = local_time(party.phone, reader.now) if party.phone else None
            there = SAY["time_there"].format(time=hour(local.hour, local.minute)) if local is not None else ""
            return " ".join(filter(None, (SAY[call.plain_status].format(**values), there)))
        case Outcome.FAILED | Outcome.CANCELED:
            key = call.plain_status if call.plain_status in ("failed", "terminated") else "canceled"
        case _:
            key, values["but"] = "status", SAY["contradicted"] if call.plain_status in NOBODY_REACHED else ""
    is_contradicted = call.plain_status in NOBODY_REACHED and key == "status"
    may_be_agreed = is_contradicted or view.appointment is not None or (key != "status" and view.reached)
    return f"{SAY[key].format(**values)} {SAY['may_be_agreed' if may_be_agreed else 'nothing_agreed']}"


def _try_again(view: CallView, call: Call, reader: Reader) -> str:
    """How to call again after nobody was reached: when the callee's day allows it, and before the appointment."""
    asked, zone = view.submission, view.zone_name
    if (next_one := view.related.planned) is not None:
        at, id_ = next_one.schedule, next_one.tracking_id
        when = Words().due(at, next_one.submission.respondent_phone, next_one.timezone, reader)
        when = "in progress" if next_one.is_active else when
        return SAY["planned"].format(number=at.attempt, count=at.attempts, when=when, id=id_)
    key, later = "after_message" if call.plain_status == "voicemail" and call.highlights else "try_again", ""
    if reader.schedules and asked.respondent_phone:
        due = next_attempt(reader.now, asked.respondent_phone, zone) + timedelta(seconds=59)
        if not (isinstance(asked, Submission) and is_past_appointment(asked, due, zone)):
            later = SAY["later"].format(due=due.astimezone(zone_of(zone)))
    return SAY[key].format(later=later)


def offer_not_accepted(view: CallView) -> str:
    """Which other times KallyAI was to accept, if not every one, and it has booked none; else ""."""
    if view.outcome is not Outcome.ANSWERED or not view.is_without_event:
        return ""
    times = other_times_text(view.submission)
    if not times and not forbids_other_time(view.submission):
        return ""
    booking = changes_in(view.submission)
    change = f' and changes_call_id "{call_id(booking)}"' if booking else ""
    return SAY["other_times"].format(times=f"only {one_line(times, 80)}" if times else "none", change=change)


def thing(view: CallView) -> str:
    """What the call booked: "table for 4", or "table" when the calendar event does not name that number."""
    size = None if "party_size" in view.unconfirmed else view.submission.party_size
    kind = {"restaurant": "table", "hotel": "room"}.get(view.submission.task_category or "", "appointment")
    return kind if kind == "appointment" or size is None else f"{kind} for {size}"


def _unconfirmed(view: CallView) -> str:
    """What of the request could be in the calendar event, and is not: "7:00 PM, 4 people"."""
    asked = view.submission
    words = {
        "appointment_time": _hour_asked(asked.appointment_time),
        "party_size": "1 person" if asked.party_size == 1 else f"{asked.party_size} people",
        "departure_date": f"departure {departure_in(asked)}",
    }
    what = ", ".join(words[name] for name in view.unconfirmed)
    return SAY["unconfirmed"].format(what=what) if what else ""


def _hour_asked(time: str | None) -> str:
    read = time_of_day(time) if time else None
    return quoted(str(time), 40) if read is None else hour(*read)


def booked_time(view: CallView, reader: Reader, *, in_row: bool = False) -> str:
    """When the appointment begins, by the callee's clock, without the weekday `in_row`; "" if that is not known.

    If the user's clock shows another time, it ends with "there"; or with the name of the request's zone, if the number
    does not show the callee's clock.
    """
    start = begins(view)
    if start is None:
        return ""
    number, until = view.submission.respondent_phone, ""
    if departure_in(view.submission) is not None and view.ends_on is not None:
        until = f" to {day_and_hour(view.ends_on, reader.now, in_row=in_row)}"
    return with_place(day_and_hour(start, reader.now, in_row=in_row), start, number, view.zone_name, reader) + until


def begins(view: CallView) -> date | datetime | None:
    """When the appointment begins, by the callee's clock, or in the request's zone if that is not known."""
    return _at_callee(view.appointment.start if view.appointment is not None else None, view)


def ends(view: CallView) -> date | datetime | None:
    """When the appointment ends, by the clock of `begins`."""
    return _at_callee(view.appointment.end if view.appointment is not None else None, view)


def _at_callee(moment: date | datetime | None, view: CallView) -> date | datetime | None:
    moment = with_zone(moment, zone_of(view.zone_name))
    return at_callee(moment, view.submission.respondent_phone) if isinstance(moment, datetime) else moment


def _asked(view: CallView, reader: Reader) -> str:
    """The day and time of the submission, by the clock of `begins`; only the time, if the appointment is that day."""
    number, start, zone = view.submission.respondent_phone, begins(view), zone_of(view.zone_name)
    try:
        day = date.fromisoformat(view.day) if view.day else None
        if view.time is None:
            return day_and_hour(day, reader.now) if day else ""
        day = day or (start.astimezone(zone) if isinstance(start, datetime) else start) or reader.now.astimezone(zone)
        asked = at_callee(datetime.fromisoformat(f"{day.isoformat()[:10]}T{view.time}").replace(tzinfo=zone), number)
    except (ValueError, OverflowError):  # OverflowError: a time near the year 1 or 9999
        return quoted(" ".join(filter(None, (view.day, view.time))))
    if start is not None and asked.isoformat()[:10] == start.isoformat()[:10]:
        return hour(asked.hour, asked.minute)
    return day_and_hour(asked, reader.now)


def _progress(view: CallView, reader: Reader, *, is_duplicate: bool) -> str:
    """How far a call is; about a call that only KallyAI has, the text says no more than its status does."""
    party, record, call, began = party_of(view.submission), view.record, view.call, view.placed_at
    if record is not None and view.is_not_placed_yet(reader.now):
        return _not_placed_yet(record, reader)
    if record is not None and record.response_lost_at is not None and view.is_being_checked:
        if isinstance(record.error, RateLimitedError):
            return f"{SAY['limited'].format(party=party)} {SAY['continues']}"
        ends = record.response_lost_at + timedelta(seconds=reader.search_seconds)
        return SAY["being_checked"].format(party=party, until=_end(ends, reader))
    if call is not None and (call.plain_status != "in_progress" or began is None):
        return SAY["status_only"].format(party=party, status=quoted(call.status, 24))
    elapsed = duration(max(0.0, (reader.now - began).total_seconds())) if began is not None else ""
    key = "in_progress_duplicate" if is_duplicate else "in_progress"
    return f"{SAY[key].format(party=party, elapsed=elapsed)} {SAY['continues']}"


def _not_placed_yet(record: CallRecord, reader: Reader) -> str:
    limit = record.placed_at + timedelta(seconds=Timing.send_within)
    until = _end(min(limit, record.schedule.place_by or limit), reader)
    why = "there is no connection to KallyAI so far" if record.error is None else "KallyAI can't be reached"
    return SAY["not_placed_yet"].format(why=why, until=until)


def _end(moment: datetime, reader: Reader) -> str:
    """The time of day after `moment`, in whole minutes."""
    end = moment.astimezone(zone_of(reader.timezone)) + timedelta(minutes=1)
    return with_place(hour(end.hour, end.minute), end, None, reader.timezone, reader)


def so_far(record: CallRecord, now: datetime) -> str:
    """How long the call of `record` has lasted, for a progress message."""
    return f"{party_of(record.submission)}: {duration(record.elapsed(now))} so far"


def already_placed(record: CallRecord, reader: Reader, *, was_active: bool) -> str:
    """The line before the outcome of a duplicate: no new call was placed, and why."""
    return SAY["was_in_progress"] if was_active else SAY["already"].format(ago=ago(record.elapsed(reader.now)))
