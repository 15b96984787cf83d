"""Texts about one call: its outcome, its progress, a duplicate."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from kallyai_mcp.api.call_ids import is_usable
from kallyai_mcp.api.errors import ResponseLostError
from kallyai_mcp.api.models import Call, Submission, SubmissionEcho
from kallyai_mcp.calls.appointment import time_of_day, with_zone
from kallyai_mcp.calls.numbers import for_people, local_time
from kallyai_mcp.calls.outcome import NOBODY_REACHED, Outcome
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.text.call_words import say
from kallyai_mcp.tools.text.plain import ago, call_id, duration, named, one_line, quoted, sentence, zone_of
from kallyai_mcp.tools.text.reader import Reader
from kallyai_mcp.tools.text.times import at_callee, city, day_and_hour, hour, is_own_clock, the_hour

_NUMBER = re.compile(r"\+?[0-9 ().-]{1,24}", re.ASCII)


@dataclass(frozen=True)
class Party:
    """The callee in a text.

    Attributes:
        phone: The number; None if it is not known.
        name: The name; None if it is not known.
        spanish: The text is in Spanish; otherwise in English.
    """

    phone: str | None
    name: str | None
    spanish: bool = False

    def __str__(self) -> str:
        """For example "Italian Bistro (+1 415-555-1234)"."""
        number = for_people(self.phone) if self.phone else None
        if self.name:
            return f"{named(self.name)} ({number})" if number else named(self.name)
        return number or say("the_number", self.spanish)

    @property
    def parts(self) -> list[str]:
        """The known parts, for example ["Italian Bistro", "+1 415-555-1234"]."""
        return [part for part in self._name_and(for_people(self.phone) if self.phone else None) if part]

    def in_row(self, limit: int = 24) -> str:
        """For example "Italian Bistro +14155551234", with a name of more than `limit` characters cut."""
        return " ".join(part for part in self._name_and(self.phone, limit) if part)

    def _name_and(self, number: str | None, limit: int = 80) -> tuple[str | None, str | None]:
        return named(self.name, limit) if self.name else None, number


def party_of(submission: Submission | SubmissionEcho, *, spanish: bool = False) -> Party:
    """The callee of a submission. A number with other characters than those of a phone number is quoted."""
    name, phone = submission.business_name, submission.respondent_phone
    if phone is not None and not _NUMBER.fullmatch(phone):
        phone = quoted(phone, 24)
    return Party(phone, one_line(name) if name else None, spanish)


def outcome(view: CallView, call: Call, reader: Reader, *, few_left: str | None = None) -> str:
    """The outcome of a call that has ended, for an agent to relay.

    `call` is `view.call`, which is not None here. `few_left` is what is left of the quota, if that is little.
    """
    spanish = reader.spanish
    lines = [_headline(view, call, reader)]
    said = f"KallyAI: {quoted(sentence(call.highlights, spanish=spanish))}" if call.highlights else ""
    has_appointment = view.appointment is not None
    if has_appointment:
        lasted = f" {duration(call.duration_seconds)}." if call.duration_seconds is not None else ""
        said = f"{said or say('no_summary', spanish)}{lasted}"
    elif view.outcome is Outcome.ANSWERED and not said:
        said = say("no_summary", spanish)
    if view.outcome is Outcome.BOOKED_OTHER_TIME:
        said += f" {say('tell_now', spanish)}"
    lines += [said] if said else []
    if what := unconfirmed(view.submission, view.unconfirmed, spanish=spanish):
        lines.append(say("unconfirmed", spanish, what=what))
    can_ask = is_usable(call.call_id)
    if view.calendar is not None and not view.calendar.is_known:
        lines.append(say("calendar_not_known" if can_ask else "calendar_not_asked", spanish))
    if call.next_steps:
        lines.append(say("suggests", spanish, said=quoted(sentence(call.next_steps, spanish=spanish))))
    lines += [say("few_left", spanish, left=few_left)] if few_left else []
    more = ["get_calendar_event"] if has_appointment else []
    more += [] if view.outcome in (Outcome.NOT_REACHED, Outcome.CANCELED) else ["get_transcript"]
    next_steps = ", ".join(more) if can_ask else say("id_not_usable", spanish)
    lines.append("; ".join(filter(None, (f"call_id {call_id(call.call_id)}", next_steps))) + ".")
    return "\n".join(lines)


def _headline(view: CallView, call: Call, reader: Reader) -> str:
    spanish, seconds = reader.spanish, call.duration_seconds
    party = party_of(view.submission, spanish=spanish)
    after = say("after", spanish, duration=duration(seconds)) if seconds is not None else ""
    match view.outcome:
        case Outcome.BOOKED:
            when = booked_time(view, reader)
            what = say("at", spanish, thing=thing(view, spanish=spanish), party=party)
            return say("booked", spanish, what=what, when=f", {when}" if when else "")
        case Outcome.BOOKED_OTHER_TIME:
            when = booked_time(view, reader)
            return say("booked_other_time", spanish, when=when, asked=_asked(view, reader), party=party)
        case Outcome.ANSWERED:
            lasted = say("lasted", spanish, duration=duration(seconds)) if seconds is not None else ""
            return say("answered", spanish, party=party, lasted=lasted)
        case Outcome.NOT_REACHED:
            parts = [say(call.plain_status, spanish, party=party, after=after)]
            local = local_time(party.phone, reader.now) if party.phone else None
            if local is not None:
                time = hour(local.hour, local.minute, spanish=spanish, number=party.phone)
                parts.append(say("time_there", spanish, time=time))
            return " ".join([*parts, say("may_call_again", spanish)])
        case Outcome.FAILED | Outcome.CANCELED:
            status = call.plain_status if call.plain_status in ("failed", "terminated") else "canceled"
            agreed = say("may_be_agreed" if view.reached else "nothing_agreed", spanish)
            return f"{say(status, spanish, party=party, after=after)} {agreed}"
        case _ if call.plain_status in NOBODY_REACHED:
            first = say("contradicted", spanish, party=party, status=quoted(call.status, 24))
            return f"{first} {say('may_be_agreed', spanish)}"
        case _:
            key = "no_status" if call.plain_status == "unknown" else "odd_status"
            agreed = say("nothing_agreed" if view.appointment is None else "may_be_agreed", spanish)
            return f"{say(key, spanish, party=party, status=quoted(call.status, 24))} {agreed}"


def thing(view: CallView, *, spanish: bool) -> str:
    """What the call booked: "table for 4", or "table" when the calendar event does not name that number."""
    size = None if "party_size" in view.unconfirmed else view.submission.party_size
    kind = {"restaurant": "table", "hotel": "room"}.get(view.submission.task_category or "", "appointment")
    if kind == "appointment" or size is None:
        return say(kind, spanish)
    return say(f"{kind}_for_1" if size == 1 else f"{kind}_for", spanish, count=size)


def unconfirmed(asked: Submission | SubmissionEcho, names: Collection[str], *, spanish: bool) -> str:
    """The values of the submission's fields with these `names`: '7:00 PM, 4 people, "after 5pm"'."""
    size, number = asked.party_size, asked.respondent_phone
    words = {
        "appointment_time": _hour_asked(asked.appointment_time, number, spanish),
        "party_size": say("people_1" if size == 1 else "people", spanish, count=size),
        "time_preference_text": quoted(asked.time_preference_text or "", 100),
    }
    return ", ".join(words[name] for name in words if name in names)


def _hour_asked(time: str | None, number: str | None, spanish: bool) -> str:
    read = time_of_day(time) if time else None
    return quoted(str(time), 40) if read is None else hour(*read, spanish=spanish, number=number)


def booked_time(view: CallView, reader: Reader) -> str:
    """When the appointment begins, by the callee's clock; "" if that is not known.

    If the user's clock shows another time, it ends with "there"; or with the name of the request's zone, if the number
    does not show the callee's clock.
    """
    start = begins(view)
    if start is None:
        return ""
    text = day_and_hour(start, reader.now, spanish=reader.spanish, number=view.submission.respondent_phone)
    return with_place(text, start, view, reader)


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
        return say("there", reader.spanish, moment=text)
    return say("time_of", reader.spanish, moment=text, place=city(view.zone_name, spanish=reader.spanish))


def _asked(view: CallView, reader: Reader) -> str:
    """The day and time of the submission, by the clock of `begins`; only the time, if the appointment is that day."""
    number, now, spanish = view.submission.respondent_phone, reader.now, reader.spanish
    start, zone = begins(view), zone_of(view.zone_name)
    try:
        day = date.fromisoformat(view.day) if view.day else None
        if view.time is None:
            return day_and_hour(day, now, spanish=spanish) if day else ""
        day = day or (start.astimezone(zone) if isinstance(start, datetime) else start) or now.astimezone(zone)
        asked = at_callee(datetime.fromisoformat(f"{day.isoformat()[:10]}T{view.time}").replace(tzinfo=zone), number)
    except (ValueError, OverflowError):  # OverflowError: a time near the year 1 or 9999
        return quoted(" ".join(filter(None, (view.day, view.time))))
    if start is not None and asked.isoformat()[:10] == start.isoformat()[:10]:
        time = hour(asked.hour, asked.minute, spanish=spanish, number=number)
        return the_hour(time) if spanish else time
    return day_and_hour(asked, now, spanish=spanish, number=number)


def in_progress(view: CallView, reader: Reader, *, is_duplicate: bool = False) -> str:
    """A call that has no outcome yet, and the next step: to wait for its outcome."""
    spanish, wait = reader.spanish, reader.wait_seconds
    id_ = view.record.tracking_id if view.record is not None else one_line(view.call_id or "")
    waiting = say("waiting", spanish, wait=wait) if wait > 0 else ""
    if view.record is not None and view.is_not_placed_yet(reader.now):
        first = _not_placed_yet(view.record, reader)
    else:
        first = _progress(view, reader.now, spanish, is_duplicate=is_duplicate)
    return f"{first}\n{say('next', spanish, id=id_, waiting=waiting)}"


def _progress(view: CallView, now: datetime, spanish: bool, *, is_duplicate: bool) -> str:
    """How far a call is; about a call that only KallyAI has, the text says no more than its status does."""
    party, record, call = party_of(view.submission, spanish=spanish), view.record, view.call
    began = record.placed_at if record is not None else call.created_at if call is not None else None
    elapsed = duration(max(0.0, (now - began).total_seconds())) if began is not None else ""
    if record is None and call is not None and (call.plain_status != "in_progress" or began is None):
        is_known = call.plain_status in call.IN_PROGRESS
        since = say("since" if is_known else "since_then", spanish, elapsed=elapsed) if elapsed else ""
        key, status = "in_progress_status" if is_known else "open_status", quoted(call.status, 24)
        said = say(key, spanish, party=party, status=status, since=since)
        return f"{said} {say('continues' if is_known else 'may_go_on', spanish)}"
    key = "in_progress_duplicate" if is_duplicate else "in_progress"
    if record is not None and record.response_lost_at is not None and not is_duplicate:
        key = "in_progress_lost"
    return f"{say(key, spanish, party=party, elapsed=elapsed)} {say('continues', spanish)}"


def _not_placed_yet(record: CallRecord, reader: Reader) -> str:
    spanish, number = reader.spanish, record.submission.respondent_phone
    limit = record.placed_at + timedelta(seconds=Timing.send_within)
    last = min(limit, record.schedule.place_by or limit).astimezone(zone_of(reader.timezone)) + timedelta(minutes=1)
    until = hour(last.hour, last.minute, spanish=spanish, number=number)
    why = say("no_connection" if record.error is None else "not_reachable", spanish)
    return say("not_placed_yet", spanish, why=why, until=the_hour(until) if spanish else until)


def so_far(record: CallRecord, now: datetime, *, spanish: bool) -> str:
    """How long the call of `record` has lasted, for a progress message."""
    return say("so_far", spanish, party=party_of(record.submission), elapsed=duration(record.elapsed(now)))


def task_status(record: CallRecord, reader: Reader, *, is_duplicate: bool = False) -> str:
    """The state of a call, for an agent that follows it as a task; the call is active, or was canceled."""
    if not record.is_active:
        return say("task_canceled", reader.spanish)
    if CallView.of_record(record).is_not_placed_yet(reader.now):
        return _not_placed_yet(record, reader)
    key = "task" if record.response_lost_at is None else "task_lost"
    first = say(key, reader.spanish, party=party_of(record.submission), elapsed=duration(record.elapsed(reader.now)))
    joined = f"{say('task_joined', reader.spanish)} " if is_duplicate else ""
    return f"{joined}{first} {say('task_no_end', reader.spanish)}"


def unknown(record: CallRecord, *, spanish: bool) -> str:
    """The text about a call that may have been placed, and what to do so that it is not placed twice."""
    key = "unknown_lost" if isinstance(record.error, ResponseLostError) else "unknown"
    return say(
        key, spanish, party=party_of(record.submission), check=say("check_first", spanish, id=record.tracking_id)
    )


def already_placed(record: CallRecord, reader: Reader, *, was_active: bool) -> str:
    """The line before the outcome of a duplicate: no new call was placed, and why."""
    if was_active:
        return say("was_in_progress", reader.spanish) + "\n"
    ago_ = ago(record.elapsed(reader.now), spanish=reader.spanish)
    return say("already", reader.spanish, ago=ago_) + "\n"
