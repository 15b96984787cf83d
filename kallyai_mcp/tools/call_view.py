"""What a result says about a call. The call is in the ledger, or only KallyAI has it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call, Submission, SubmissionEcho
from kallyai_mcp.calls.appointment import Appointment, Calendar, names_number, time_of_day
from kallyai_mcp.calls.numbers import zone_of_number
from kallyai_mcp.calls.outcome import Findings, Outcome, outcome_of
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.tools.submissions import departure_in, other_times_text, spans_in

BOOKED = (Outcome.BOOKED, Outcome.BOOKED_OTHER_TIME)

_STATES = frozenset({CallState.SCHEDULED, CallState.EXPIRED, CallState.REFUSED, CallState.CANCELED})
"""The states of a record that are the status of its call, because KallyAI has no call and so no status."""

_LEAVES_WITHIN = 0.5
"""Seconds after which a request has left, if KallyAI can be reached."""


@dataclass(frozen=True)
class Quote:
    """Words of the callee, and when they were said: the time since the call began, as "0:34".

    After a `question`, `quote` is None if nothing answered it; if several turns fit it equally well, it has several.
    """

    question: str | None
    quote: str | None
    at: str | None


@dataclass(frozen=True)
class Related:
    """What a call has to do with other calls of the account.

    Attributes:
        before: The earlier call whose booking the call was about.
        later: The last call that was about the booking of this call, and was answered.
        ahead: An earlier call to the same number, whose booking lies ahead.
        planned: The next attempt of this call, which reached nobody.
    """

    before: "CallView | None" = None
    later: "CallView | None" = None
    ahead: "CallView | None" = None
    planned: CallRecord | None = None

    @property
    def is_moved(self) -> bool:
        """Whether the later call has booked another time; if not, it may have canceled the booking."""
        return self.later is not None and self.later.outcome in BOOKED


@dataclass(frozen=True)
class CallView:
    """What is known of a call.

    Attributes:
        submission: What KallyAI was asked to do.
        zone_name: IANA name of the time zone of the submission's day and time.
        outcome: The outcome that a result may claim; None while the call is in progress.
        call: The call as KallyAI reports it; None while KallyAI has not reported it.
        calendar: What KallyAI's calendar file says; None if the file was not asked for.
        reached: Whether somebody may have talked in the call; None if that was not looked up.
        record: The ledger's record of the call; None if only KallyAI has the call.
        evidence: The callee's words that decided the outcome.
        answers: The callee's words after each question; `is_unanswered`: there is no transcript to find them in.
    """

    submission: Submission | SubmissionEcho
    zone_name: str
    outcome: Outcome | None
    call: Call | None = None
    calendar: Calendar | None = None
    reached: bool | None = None
    record: CallRecord | None = None
    evidence: Quote | None = None
    answers: tuple[Quote, ...] = ()
    is_unanswered: bool = False
    related: Related = Related()

    @classmethod
    def of_record(cls, record: CallRecord) -> "CallView":
        """The view of a call in the ledger."""
        ended = record.state is CallState.ENDED
        call, calendar = (record.call, record.calendar) if ended else (None, None)
        return cls(record.submission, record.timezone, record.outcome, call, calendar, record.reached, record)

    @classmethod
    def of(cls, found: CallRecord | Call, findings: Findings | None = None, *, timezone: str) -> "CallView":
        """The view of a call that may be one that only KallyAI has; then `findings` says more, if it was looked up.

        `timezone` is the user's. It is used if the called number does not have exactly one zone.
        """
        if isinstance(found, CallRecord):
            return cls.of_record(found)
        echo, (calendar, reached) = found.submission, findings or (None, None)
        zone = (zone_of_number(echo.respondent_phone) if echo.respondent_phone else None) or timezone
        outcome = outcome_of(found, calendar, reached=bool(reached), asked=echo, zone_name=zone)
        return cls(echo, zone, outcome, found, calendar, reached)

    def named(self, names: Mapping[str, str]) -> "CallView":
        """The same call with a name for its number, if it has none and `names` have one."""
        name = names.get(self.submission.respondent_phone or "")
        if self.submission.business_name or name is None:
            return self
        return replace(self, submission=self.submission.model_copy(update={"business_name": name}))

    @property
    def appointment(self) -> Appointment | None:
        """The appointment that KallyAI's calendar file shows."""
        return self.calendar.appointment if self.calendar is not None else None

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """The submission's fields whose values could be in the calendar event, and are not."""
        made, asked = self.appointment, self.submission
        if made is None:
            return ()
        departure = departure_in(asked)
        is_open = {
            "appointment_time": asked.appointment_time is not None and not isinstance(made.start, datetime),
            "party_size": asked.party_size is not None and not names_number(made, asked.party_size),
            "departure_date": departure is not None and departure != self.ends_on,
        }
        return tuple(name for name, is_missing in is_open.items() if is_missing)

    @property
    def ends_on(self) -> date | None:
        """The day on which the appointment ends; for a hotel, the day of departure."""
        end = self.appointment.end if self.appointment is not None else None
        return end.date() if isinstance(end, datetime) else end

    @property
    def is_at_allowed_time(self) -> bool:
        """Whether the appointment is on the day that was asked for, at one of the other times that the user allowed."""
        made = self.appointment
        start = made.start if made is not None else None
        if not isinstance(start, datetime):
            return False
        local = start.astimezone(ZoneInfo(self.zone_name)) if start.tzinfo else start
        is_that_day = self.day is None or local.date().isoformat() == self.day
        spans = spans_in(other_times_text(self.submission))
        return is_that_day and any(first <= local.time() <= last for first, last in spans)

    @property
    def call_id(self) -> str | None:
        """KallyAI's id of the call, if it is known."""
        known = self.call.call_id if self.call is not None else None
        return known or (self.record.call_id if self.record is not None else None)

    @property
    def refusal(self) -> KallyAIError | None:
        """Why no call was placed; None for a call that was placed, or may be."""
        record = self.record
        if record is not None and record.state is CallState.CANCELED:
            return KallyAIError("the call was canceled before it was placed", code="canceled")
        return record.error if record is not None and record.state in (CallState.REFUSED, CallState.EXPIRED) else None

    def is_not_placed_yet(self, now: datetime) -> bool:
        """Whether the call's request has not left, and its try failed or has lasted longer than usual."""
        record = self.record
        if record is None or record.state is not CallState.RESERVED:
            return False
        return record.error is not None or record.elapsed(now) >= _LEAVES_WITHIN

    @property
    def is_being_checked(self) -> bool:
        """Whether the call may have been placed, and KallyAI's list is searched for it."""
        record = self.record
        return (
            record is not None and record.is_active and record.response_lost_at is not None and record.call_id is None
        )

    @property
    def is_without_event(self) -> bool:
        """Whether a day or a time was asked for, and KallyAI's calendar is known to have no event for the call."""
        asked = self.day is not None or self.time is not None
        return asked and self.calendar is not None and self.calendar.is_known and self.appointment is None

    @property
    def suggestion(self) -> str | None:
        """What KallyAI suggests after a conversation; None if it would ask about what is settled.

        A later call was about the booking, or the booked time is one of those that the user gave.
        """
        talked = self.outcome in (Outcome.ANSWERED, *BOOKED)
        is_settled = self.related.later is not None or (
            self.outcome is Outcome.BOOKED_OTHER_TIME and self.is_at_allowed_time
        )
        return self.call.next_steps if self.call is not None and talked and not is_settled else None

    @property
    def placed_at(self) -> datetime | None:
        """When the call was placed, or asked for."""
        created_at = self.call.created_at if self.call is not None else None
        return created_at or (self.record.placed_at if self.record is not None else None)

    @property
    def status(self) -> str:
        """KallyAI's status of the call. Without one, the state of our record, `in_progress`, or `unknown`."""
        if self.call is not None and self.call.plain_status not in Call.IN_PROGRESS:
            return self.call.status
        if self.record is not None and self.record.state in _STATES:
            return self.record.state.value
        return "in_progress" if self.outcome is None else "unknown"

    @property
    def day(self) -> str | None:
        """The submission's day: YYYY-MM-DD, or in the form in which KallyAI repeats it."""
        day = self.submission.appointment_date
        return None if day is None else str(day)[:10]

    @property
    def time(self) -> str | None:
        """The submission's time: HH:MM, or in the form in which KallyAI repeats it."""
        time = self.submission.appointment_time
        read = time_of_day(time) if time else None
        return time if read is None else f"{read[0]:02}:{read[1]:02}"

    @property
    def is_calendar_unread(self) -> bool:
        """Whether the callee answered, and no calendar file was read that would show whether something was booked."""
        return self.outcome is Outcome.ANSWERED and (self.calendar is None or not self.calendar.is_known)
