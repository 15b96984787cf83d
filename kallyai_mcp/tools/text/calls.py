"""Texts about one call: its outcome, its progress, a duplicate."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from kallyai_mcp.api.errors import ResponseLostError, is_usable
from kallyai_mcp.api.models import Call, Submission, SubmissionEcho
from kallyai_mcp.calls.appointment import time_of_day, with_zone
from kallyai_mcp.calls.numbers import for_people, local_time
from kallyai_mcp.calls.outcome import NOBODY_REACHED, Outcome
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.text.plain import ago, call_id, duration, named, one_line, quoted, sentence, zone_of
from kallyai_mcp.tools.text.times import Reader, at_callee, city, day_and_hour, hour, is_own_clock

SAY = {
    # Outcomes
    "booked": "Booked: {what}{when}.",
    "booked_other_time": "Booked for another time: {when}; you asked for {asked}. {party}.",
    "tell_now": "Tell the user now and ask if that works.",
    "unconfirmed": "The calendar event does not confirm this: {what}.",
    "answered": "Answered: {party}{lasted}.",
    "calendar_not_known": (
        "Whether an appointment was made is not known: no calendar file shows it. get_call asks again."
    ),
    "calendar_not_asked": "Whether an appointment was made is not known.",
    "id_not_usable": "this id can't be sent to KallyAI, so nothing more can be read with it",
    "no_answer": "Not reached: no answer at {party}{after}.",
    "busy": "Not reached: the line of {party} was busy.",
    "voicemail": "Not reached: voicemail at {party}{after}.",
    "time_there": "It is {time} there.",
    "may_call_again": "You may call again later.",
    "failed": "Failed: the call to {party} failed{after}.",
    "terminated": "Failed: KallyAI ended the call to {party} early{after}.",
    "canceled": "Canceled: the call to {party} was canceled{after}.",
    "nothing_agreed": "Take nothing as agreed.",
    "may_be_agreed": (
        "Somebody may have talked and agreed to something: read get_transcript, and ask the user before another call."
    ),
    "contradicted": (
        "Unknown: KallyAI gives the call to {party} the status {status}, but shows an appointment or words of the "
        "callee."
    ),
    "no_status": "Unknown: KallyAI does not say how the call to {party} ended.",
    "odd_status": (
        "Unknown: KallyAI gives the call to {party} the status {status}, which this program does not know{since}."
    ),
    "unknown_lost": (
        "Unknown: the connection broke after the request was sent, so {party} may have been called. {check}"
    ),
    "unknown": ("Unknown: no usable answer came after the request was sent, so {party} may have been called. {check}"),
    "check_first": (
        'Check with get_call "{id}" and list_calls before anything else; do not place the call again. If the user '
        "wants a second call on purpose: redial=true."
    ),
    # A call that goes on
    "in_progress": "In progress: the call to {party} has lasted {elapsed}.",
    "in_progress_status": "In progress: KallyAI gives the call to {party} the status {status}{since}.",
    "may_go_on": "It may go on; do not place it again.",
    "in_progress_duplicate": ("In progress already; no new call was placed. The call to {party} has lasted {elapsed}."),
    "in_progress_lost": (
        "In progress: no usable answer came, and whether {party} was called is being checked ({elapsed} so far)."
    ),
    "continues": "It continues without you; do not place it again.",
    "not_placed_yet": (
        "Not placed yet: {why}. This program tries until {until} at the latest and then gives up; do not place the "
        "call again."
    ),
    "next": 'Next: get_call with call_id "{id}"{waiting}.',
    "task": "The call to {party} is in progress, {elapsed} so far.",
    "task_lost": "No usable answer came; whether {party} was called is being checked, {elapsed} so far.",
    "task_joined": "No new call was placed: the same call is in progress already.",
    "task_no_end": "tasks/cancel can't end a phone call that was placed: it goes on to its end.",
    "task_canceled": "The call was canceled before it was placed.",
    # A call that was asked for again
    "already": "Already called {ago}; no new call was placed. To call again on purpose: redial=true.",
    "was_in_progress": "This call was already in progress and has now ended; no new call was placed.",
    # KallyAI's words
    "no_summary": "KallyAI gave no summary.",
    "suggests": "KallyAI suggests: {said}",
}

_NUMBER = re.compile(r"\+?[0-9 ().-]{1,24}", re.ASCII)


@dataclass(frozen=True)
class Party:
    """The callee in a text: the number and the name, as far as they are known."""

    phone: str | None
    name: str | None

    def __str__(self) -> str:
        """For example "Italian Bistro (+1 415-555-1234)"."""
        parts = self.parts
        return f"{parts[0]} ({parts[1]})" if len(parts) > 1 else "".join(parts) or "the number"

    @property
    def parts(self) -> list[str]:
        """The known parts, for example ["Italian Bistro", "+1 415-555-1234"]."""
        return self._name_and(for_people(self.phone) if self.phone else None)

    def in_row(self, limit: int = 24) -> str:
        """For example "Italian Bistro +14155551234", with a name of more than `limit` characters cut."""
        return " ".join(self._name_and(self.phone, limit))

    def _name_and(self, number: str | None, limit: int = 80) -> list[str]:
        return [part for part in (named(self.name, limit) if self.name else None, number) if part]


def party_of(submission: Submission | SubmissionEcho) -> Party:
    """The callee of a submission. A number with other characters than those of a phone number is quoted."""
    name, phone = submission.business_name, submission.respondent_phone
    if phone is not None and not _NUMBER.fullmatch(phone):
        phone = quoted(phone, 24)
    return Party(phone, one_line(name) if name else None)


def outcome(view: CallView, call: Call, reader: Reader, *, few_left: str | None = None) -> str:
    """The outcome of a call that has ended, for an agent to relay.

    `call` is `view.call`, which is not None here. `few_left` is what is left of the quota, if that is little.
    """
    lines = [_headline(view, call, reader)]
    said = f"KallyAI: {quoted(sentence(call.highlights))}" if call.highlights else ""
    has_appointment = view.appointment is not None
    if has_appointment:
        lasted = f" {duration(call.duration_seconds)}." if call.duration_seconds is not None else ""
        said = f"{said or SAY['no_summary']}{lasted}"
    elif view.outcome is Outcome.ANSWERED and not said:
        said = SAY["no_summary"]
    if view.outcome is Outcome.BOOKED_OTHER_TIME:
        said += f" {SAY['tell_now']}"
    lines += [said] if said else []
    if what := unconfirmed(view.submission, view.unconfirmed):
        lines.append(SAY["unconfirmed"].format(what=what))
    can_ask = is_usable(call.call_id)
    if view.calendar is not None and not view.calendar.is_known:
        lines.append(SAY["calendar_not_known" if can_ask else "calendar_not_asked"])
    if call.next_steps:
        lines.append(SAY["suggests"].format(said=quoted(sentence(call.next_steps))))
    lines += [f"Only {few_left} left."] if few_left else []
    more = ["get_calendar_event"] if has_appointment else []
    more += [] if view.outcome in (Outcome.NOT_REACHED, Outcome.CANCELED) else ["get_transcript"]
    next_steps = ", ".join(more) if can_ask else SAY["id_not_usable"]
    lines.append("; ".join(filter(None, (f"call_id {call_id(call.call_id)}", next_steps))) + ".")
    return "\n".join(lines)


def _headline(view: CallView, call: Call, reader: Reader) -> str:
    party = party_of(view.submission)
    lasted = duration(call.duration_seconds) if call.duration_seconds is not None else ""
    values = {"party": party, "after": f" after {lasted}" if lasted else "", "status": quoted(call.status, 24)}
    agreed = SAY["nothing_agreed"]
    match view.outcome:
        case Outcome.BOOKED:
            when = booked_time(view, reader)
            return SAY["booked"].format(what=f"{thing(view)} at {party}", when=f", {when}" if when else "")
        case Outcome.BOOKED_OTHER_TIME:
            when, asked = booked_time(view, reader), _asked(view, reader)
            return SAY["booked_other_time"].format(when=when, asked=asked, party=party)
        case Outcome.ANSWERED:
            return SAY["answered"].format(party=party, lasted=f", {lasted}" if lasted else "")
        case Outcome.NOT_REACHED:
            local = local_time(party.phone, reader.now) if party.phone else None
            there = SAY["time_there"].format(time=hour(local.hour, local.minute)) if local is not None else ""
            return " ".join(filter(None, (SAY[call.plain_status].format(**values), there, SAY["may_call_again"])))
        case Outcome.FAILED | Outcome.CANCELED:
            key = call.plain_status if call.plain_status in ("failed", "terminated") else "canceled"
            agreed = SAY["may_be_agreed"] if view.reached else agreed
        case _ if call.plain_status in NOBODY_REACHED:
            key, agreed = "contradicted", SAY["may_be_agreed"]
        case _:
            key = "no_status" if call.plain_status == "unknown" else "odd_status"
            agreed = SAY["may_be_agreed"] if view.appointment is not None else agreed
    return f"{SAY[key].format(**values, since='')} {agreed}"


def thing(view: CallView) -> str:
    """What the call booked: "table for 4", or "table" when the calendar event does not name that number."""
    size = None if "party_size" in view.unconfirmed else view.submission.party_size
    kind = {"restaurant": "table", "hotel": "room"}.get(view.submission.task_category or "", "appointment")
    return kind if kind == "appointment" or size is None else f"{kind} for {size}"


def unconfirmed(asked: Submission | SubmissionEcho, names: Collection[str]) -> str:
    """The values of the submission's fields with these `names`: '7:00 PM, 4 people, "after 5pm"'."""
    words = {
        "appointment_time": _hour_asked(asked.appointment_time),
        "party_size": "1 person" if asked.party_size == 1 else f"{asked.party_size} people",
        "time_preference_text": quoted(asked.time_preference_text or "", 100),
    }
    return ", ".join(words[name] for name in words if name in names)


def _hour_asked(time: str | None) -> str:
    read = time_of_day(time) if time else None
    return quoted(str(time), 40) if read is None else hour(*read)


def booked_time(view: CallView, reader: Reader) -> str:
    """When the appointment begins, by the callee's clock; "" if that is not known.

    If the user's clock shows another time, it ends with "there"; or with the name of the request's zone, if the number
    does not show the callee's clock.
    """
    start = begins(view)
    return with_place(day_and_hour(start, reader.now), start, view, reader) if start is not None else ""


def begins(view: CallView) -> date | datetime | None:
    """When the appointment begins, by the callee's clock, or in the request's zone if that is not known."""
    start = with_zone(view.appointment.start if view.appointment is not None else None, zone_of(view.zone_name))
    return at_callee(start, view.submission.respondent_phone) if isinstance(start, datetime) else start


def with_place(text: str, start: date | datetime, view: CallView, reader: Reader) -> str:
    """`text` about `start`, which is from `begins`, with the place of its clock if the user's shows another time."""
    number = view.submission.respondent_phone
    if is_own_clock(start, reader):
        return text
    if number is not None and isinstance(start, datetime) and local_time(number, start) is not None:
        return f"{text} there"
    return f"{text} {city(view.zone_name)} time"


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


def in_progress(view: CallView, reader: Reader, *, is_duplicate: bool = False) -> str:
    """A call that has no outcome yet, and the next step: to wait for its outcome."""
    wait, id_ = (
        reader.wait_seconds,
        view.record.tracking_id if view.record is not None else one_line(view.call_id or ""),
    )
    waiting = f" and wait_seconds {wait:g}" if wait > 0 else ""
    if view.record is not None and view.is_not_placed_yet(reader.now):
        first = _not_placed_yet(view.record, reader)
    else:
        first = _progress(view, reader.now, is_duplicate=is_duplicate)
    return f"{first}\n{SAY['next'].format(id=id_, waiting=waiting)}"


def _progress(view: CallView, now: datetime, *, is_duplicate: bool) -> str:
    """How far a call is; about a call that only KallyAI has, the text says no more than its status does."""
    party, record, call = party_of(view.submission), view.record, view.call
    began = record.placed_at if record is not None else call.created_at if call is not None else None
    elapsed = duration(max(0.0, (now - began).total_seconds())) if began is not None else ""
    if record is None and call is not None and (call.plain_status != "in_progress" or began is None):
        is_known = call.plain_status in call.IN_PROGRESS
        since = f"{'' if is_known else ','} {elapsed} after it was placed" if elapsed else ""
        key, status = "in_progress_status" if is_known else "odd_status", quoted(call.status, 24)
        said = SAY[key].format(party=party, status=status, since=since)
        return f"{said} {SAY['continues' if is_known else 'may_go_on']}"
    key = "in_progress_duplicate" if is_duplicate else "in_progress"
    if record is not None and record.response_lost_at is not None and not is_duplicate:
        key = "in_progress_lost"
    return f"{SAY[key].format(party=party, elapsed=elapsed)} {SAY['continues']}"


def _not_placed_yet(record: CallRecord, reader: Reader) -> str:
    limit = record.placed_at + timedelta(seconds=Timing.send_within)
    last = min(limit, record.schedule.place_by or limit).astimezone(zone_of(reader.timezone)) + timedelta(minutes=1)
    why = "there is no connection to KallyAI so far" if record.error is None else "KallyAI can't be reached"
    return SAY["not_placed_yet"].format(why=why, until=hour(last.hour, last.minute))


def so_far(record: CallRecord, now: datetime) -> str:
    """How long the call of `record` has lasted, for a progress message."""
    return f"{party_of(record.submission)}: {duration(record.elapsed(now))} so far"


def task_status(record: CallRecord, reader: Reader, *, is_duplicate: bool = False) -> str:
    """The state of a call, for an agent that follows it as a task; the call is active, or was canceled."""
    if not record.is_active:
        return SAY["task_canceled"]
    if CallView.of_record(record).is_not_placed_yet(reader.now):
        return _not_placed_yet(record, reader)
    elapsed, key = duration(record.elapsed(reader.now)), "task" if record.response_lost_at is None else "task_lost"
    first = SAY[key].format(party=party_of(record.submission), elapsed=elapsed)
    joined = f"{SAY['task_joined']} " if is_duplicate else ""
    return f"{joined}{first} {SAY['task_no_end']}"


def unknown(record: CallRecord) -> str:
    """The text about a call that may have been placed, and what to do so that it is not placed twice."""
    key = "unknown_lost" if isinstance(record.error, ResponseLostError) else "unknown"
    return SAY[key].format(party=party_of(record.submission), check=SAY["check_first"].format(id=record.tracking_id))


def already_placed(record: CallRecord, reader: Reader, *, was_active: bool) -> str:
    """The line before the outcome of a duplicate: no new call was placed, and why."""
    return SAY["was_in_progress"] if was_active else SAY["already"].format(ago=ago(record.elapsed(reader.now)))
