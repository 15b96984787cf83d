"""What a result says about a call. The call is in the ledger, or only KallyAI has it."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from kallyai_mcp.api.models import Call, Submission, SubmissionEcho
from kallyai_mcp.calls.appointment import Appointment, Calendar, names_number, time_of_day
from kallyai_mcp.calls.numbers import zone_of_number
from kallyai_mcp.calls.outcome import Outcome, outcome_of
from kallyai_mcp.calls.records import CallRecord, CallState

_LEAVES_WITHIN = 0.5
"""Seconds after which a request has left, if KallyAI can be reached."""


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
    """

    submission: Submission | SubmissionEcho
    zone_name: str
    outcome: Outcome | None
    call: Call | None = None
    calendar: Calendar | None = None
    reached: bool | None = None
    record: CallRecord | None = None

    @classmethod
    def of_record(cls, record: CallRecord) -> "CallView":
        """The view of a call in the ledger."""
        ended = record.state is CallState.ENDED
        call, calendar = (record.call, record.calendar) if ended else (None, None)
        return cls(record.submission, record.timezone, record.outcome, call, calendar, record.reached, record)

    @classmethod
    def of_call(
        cls, call: Call, calendar: Calendar | None, reached: bool | None = None, *, timezone: str
    ) -> "CallView":
        """The view of a call that only KallyAI has.

        `timezone` is the user's. It is used if the called number does not have exactly one zone.
        """
        echo = call.submission
        zone = (zone_of_number(echo.respondent_phone) if echo.respondent_phone else None) or timezone
        day, time = echo.appointment_date, echo.appointment_time
        outcome = outcome_of(call, calendar, reached=bool(reached), day=day, time=time, zone=ZoneInfo(zone))
        return cls(echo, zone, outcome, call, calendar, reached)

    @classmethod
    def of_listed(cls, call: Call, record: CallRecord | None, *, timezone: str) -> "CallView":
        """The view of a call in KallyAI's list: of the `record` if there is one, else of the call (`of_call`)."""
        return cls.of_record(record) if record is not None else cls.of_call(call, None, timezone=timezone)

    @property
    def appointment(self) -> Appointment | None:
        """The appointment that KallyAI's calendar file shows."""
        return self.calendar.appointment if self.calendar is not None else None

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """The names of the submission's fields that have a value, which the calendar event does not show."""
        made, asked = self.appointment, self.submission
        if made is None:
            return ()
        has_time = isinstance(made.start, datetime)
        is_at_asked_time = has_time and asked.appointment_time is not None and self.outcome is Outcome.BOOKED
        is_open = {
            "appointment_time": asked.appointment_time is not None and not has_time,
            "party_size": asked.party_size is not None and not names_number(made, asked.party_size),
            "time_preference_text": asked.time_preference_text is not None and not is_at_asked_time,
        }
        return tuple(name for name, is_missing in is_open.items() if is_missing)

    @property
    def call_id(self) -> str | None:
        """KallyAI's id of the call, if it is known."""
        known = self.call.call_id if self.call is not None else None
        return known or (self.record.call_id if self.record is not None else None)

    def is_not_placed_yet(self, now: datetime) -> bool:
        """Whether the call's request has not left, and its try failed or has lasted longer than usual."""
        record = self.record
        if record is None or record.state is not CallState.RESERVED:
            return False
        return record.error is not None or record.elapsed(now) >= _LEAVES_WITHIN

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
    def is_retryable(self) -> bool:
        """Whether another call makes sense: by all that KallyAI shows, nobody talked in this one."""
        return self.outcome in (Outcome.NOT_REACHED, Outcome.FAILED) and self.reached is False

    @property
    def is_calendar_unread(self) -> bool:
        """Whether the callee answered, and no calendar file was read that would show whether something was booked."""
        return self.outcome is Outcome.ANSWERED and (self.calendar is None or not self.calendar.is_known)
