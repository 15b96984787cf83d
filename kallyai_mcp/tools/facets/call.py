"""What is known of a call, which is in the ledger, or which only KallyAI has."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.about_booking import Change, change_in
from kallyai_mcp.calls.disclosure import asks_to_disclose
from kallyai_mcp.calls.numbers import zone_of_callee
from kallyai_mcp.calls.outcome import BOOKED, Findings, Outcome, outcome_of
from kallyai_mcp.calls.records import NOT_PLACED, CallRecord, CallState
from kallyai_mcp.calls.search_words import Search
from kallyai_mcp.calls.speech.sentences import LONGEST_QUOTE
from kallyai_mcp.calls.speech.spoken import Spoken
from kallyai_mcp.tools.facets.booking import NOT_READ, Asked, Booking, booking_of, day_asked
from kallyai_mcp.tools.facets.live import NOT_LIVE, Live
from kallyai_mcp.tools.facets.relations import UNRELATED, Relations
from kallyai_mcp.tools.facets.speech import NOT_NEEDED, Quote, Speech
from kallyai_mcp.tools.text.plain import clock, one_line

_LEAVES_WITHIN = 0.5
"""Seconds after which a request has left, if KallyAI can be reached."""

_NOT_LOOKED_UP: Final = Findings(None, None)


@dataclass(frozen=True)
class CallView:
    """What is known of a call: how far it is or how it ended, and the other facets.

    Attributes:
        submission: What KallyAI was asked to do.
        zone_name: IANA name of the time zone of the submission's day and time.
        outcome: The outcome that a result may claim; None while the call is in progress.
        call: The call as KallyAI reports it; None while KallyAI has not reported it.
        reached: Whether somebody may have talked in the call; None if that was not looked up.
        record: The ledger's record of the call; None if only KallyAI has the call.
        name_elsewhere: The name under which its number was called in another call, if this one was
            asked for without a name.
        found_quote: The callee's words for which a search has found the call, if any.
    """

    submission: Asked
    zone_name: str
    outcome: Outcome | None
    call: Call | None = None
    reached: bool | None = None
    record: CallRecord | None = None
    booking: Booking = NOT_READ
    speech: Speech = NOT_NEEDED
    live: Live = NOT_LIVE
    related: Relations = UNRELATED
    name_elsewhere: str | None = None
    found_quote: str | None = None

    @classmethod
    def of_record(cls, record: CallRecord) -> "CallView":
        """The view of a call in the ledger."""
        view = cls(
            record.submission,
            record.timezone,
            record.outcome,
            reached=record.reached,
            record=record,
        )
        if record.state is not CallState.ENDED:  # it may have the call while its calendar is read
            return view
        booking = booking_of(view.submission, record.call, record.calendar, view.zone_name)
        return replace(view, call=record.call, booking=booking)

    @classmethod
    def of_call(
        cls,
        call: Call,
        findings: Findings = _NOT_LOOKED_UP,
        *,
        timezone: str,
    ) -> "CallView":
        """The view of a call that only KallyAI has; `findings` says more, if it was looked up.

        `timezone` is the user's. It is used if the called number does not have exactly one zone.
        """
        asked = call.submission
        zone = zone_of_callee(asked.respondent_phone, otherwise=timezone)
        calendar = findings.calendar
        reached = findings.reached
        outcome = outcome_of(call, calendar, reached=reached, asked=asked, zone_name=zone)
        booking = booking_of(asked, call, calendar, zone)
        return cls(asked, zone, outcome, call, reached, booking=booking)

    @classmethod
    def of(cls, found: CallRecord | Call, *, timezone: str) -> "CallView":
        """The view of a call in the ledger, or of one that only KallyAI has, without findings."""
        if isinstance(found, CallRecord):
            return cls.of_record(found)
        return cls.of_call(found, timezone=timezone)

    def named(self, names: Mapping[str, str]) -> "CallView":
        """The same call with what other calls have named its number, if it has no name."""
        if self.submission.business_name:
            return self
        return replace(self, name_elsewhere=names.get(self.number))

    def found_by(self, search: Search) -> "CallView":
        """The same call with the callee's words that a search has found."""
        quote = search.quote_in(self.spoken)
        return self if quote is None else replace(self, found_quote=one_line(quote))

    @property
    def spoken(self) -> Spoken | None:
        """What the ledger keeps of the transcript; None before one was looked for."""
        return self.record.spoken if self.record is not None else None

    @property
    def number(self) -> str:
        """The number that is called (E.164); "" if it is not known: KallyAI may leave it out."""
        return self.submission.respondent_phone or ""

    @property
    def callee_name(self) -> str:
        """The name that the number was called under; "" without one."""
        return self.submission.business_name or ""

    @property
    def call_id(self) -> str | None:
        """KallyAI's id of the call, if it is known."""
        if self.call is not None and self.call.call_id:
            return self.call.call_id
        return self.record.call_id if self.record is not None else None

    @property
    def tracking_id(self) -> str | None:
        """The id of its record, if it has one."""
        return self.record.tracking_id if self.record is not None else None

    @property
    def id(self) -> str:
        """The id with which an agent finds it: KallyAI's, or else that of its record."""
        return self.call_id or self.tracking_id or ""

    @property
    def state(self) -> CallState | None:
        """The state of its record, if it has one."""
        return self.record.state if self.record is not None else None

    @property
    def is_open(self) -> bool:
        """Whether its record says that it has not ended."""
        return self.record is not None and self.record.is_open

    @property
    def earlier_ids(self) -> tuple[str, ...]:
        """KallyAI's ids of the attempts before this one."""
        earlier = self.record.schedule.earlier if self.record is not None else ()
        return tuple(attempt.call_id for attempt in earlier)

    @property
    def is_retry(self) -> bool:
        """Whether it is a further attempt, after one that reached nobody."""
        return bool(self.earlier_ids)

    @property
    def is_first_to_number(self) -> bool:
        """Whether it was just asked for, and its number was never called before."""
        return self.record is not None and self.record.is_new and self.record.last_call is None

    @property
    def status(self) -> str:
        """KallyAI's status of a call that has ended. Before, the state of a record whose call was
        not placed; else `in_progress`, or `unknown` if no outcome will come.
        """
        if self.call is not None and self.call.plain_status not in Call.IN_PROGRESS:
            return self.call.status
        if self.record is not None and self.record.state in NOT_PLACED:
            return self.record.state.value  # KallyAI has no call, and so no status
        return "in_progress" if self.outcome is None else "unknown"

    @property
    def refusal(self) -> KallyAIError | None:
        """Why no call was placed; None for a call that was placed, or may be."""
        if self.record is None:
            return None
        if self.record.state is CallState.CANCELED:
            return KallyAIError("the call was canceled before it was placed", code="canceled")
        return self.record.error if self.record.was_refused else None

    @property
    def ended_at(self) -> datetime | None:
        """When the call ended, or was refused; None if that is not known."""
        return None if self.record is None else self.record.ended_at

    @property
    def placed_at(self) -> datetime | None:
        """When the call was placed, or asked for."""
        if self.call is not None and self.call.created_at is not None:
            return self.call.created_at
        return self.record.asked_at if self.record is not None else None

    @property
    def called_at(self) -> datetime | None:
        """When it was placed at the earliest, as far as that is known."""
        if self.record is None:
            return self.placed_at
        return self.record.called_at

    def is_placed(self, now: datetime) -> bool:
        """Whether its request has left, or is about to leave."""
        if self.is_not_placed_yet(now):
            return False
        if self.record is None or self.call is not None:
            return True
        return self.record.is_active or self.outcome is not None

    def is_not_placed_yet(self, now: datetime) -> bool:
        """Whether its request has not left, and its try failed or has lasted longer than usual."""
        record = self.record
        if record is None or record.state is not CallState.RESERVED:
            return False
        return record.error is not None or record.elapsed(now) >= _LEAVES_WITHIN

    @property
    def searched_since(self) -> datetime | None:
        """Since when KallyAI's list is searched for the call, which may have been placed.

        None if it is not searched for.
        """
        record = self.record
        if record is None or not record.is_active or record.call_id is not None:
            return None
        return record.response_lost_at

    @property
    def is_being_checked(self) -> bool:
        """Whether the call may have been placed, and KallyAI's list is searched for it."""
        return self.searched_since is not None

    @property
    def may_have_been_called(self) -> bool:
        """Whether it is not known if KallyAI has placed the call."""
        is_lost = self.outcome is Outcome.UNKNOWN and self.call is None
        return is_lost or self.is_being_checked

    @property
    def day(self) -> str | None:
        """The submission's day: YYYY-MM-DD, or in the form in which KallyAI repeats it."""
        return day_asked(self.submission)

    @property
    def is_calendar_unread(self) -> bool:
        """Whether the callee answered, and no calendar file was read that may show a booking."""
        return self.outcome is Outcome.ANSWERED and not self.booking.is_read

    @property
    def is_without_event(self) -> bool:
        """Whether a day or a time was asked for, and KallyAI has no calendar event for the call."""
        is_dated = self.day is not None or self.submission.appointment_time is not None
        return is_dated and self.booking.is_read and self.booking.appointment is None

    @property
    def has_not_disclosed(self) -> bool:
        """Whether KallyAI was told to say that it is an AI, and its transcript does not have it."""
        disclosure = self.speech.disclosure
        if disclosure is None or disclosure.said:
            return False
        return asks_to_disclose(self.submission)

    @property
    def reached_machine(self) -> bool:
        """Whether nobody was reached because only a machine spoke."""
        is_success = self.call is not None and self.call.plain_status == "success"
        return is_success and self.outcome is Outcome.NOT_REACHED

    @property
    def recording(self) -> Quote | None:
        """The first words that show a machine, if only a machine spoke."""
        if not self.reached_machine:
            return None
        words = self.spoken.machine if self.spoken is not None else None
        if words is None:
            return self.speech.machine
        return Quote(None, one_line(words.quote, LONGEST_QUOTE), clock(words.at) or None)

    @property
    def change(self) -> Change | None:
        """What a call about the booking of another one is for; None for any other call."""
        return change_in(self.submission)

    @property
    def evidence(self) -> Quote | None:
        """The callee's words that say that the booking is canceled, or else those that decided the
        outcome.
        """
        canceled = self.booking.canceled
        if canceled is None:
            return self.speech.evidence
        return Quote(None, one_line(canceled.quote, LONGEST_QUOTE), clock(canceled.at) or None)

    @property
    def report(self) -> str:
        """What KallyAI reports of the call; "" without a report."""
        if self.call is None:
            return ""
        return self.call.highlights or ""

    @property
    def suggestion(self) -> str | None:
        """What KallyAI suggests after a conversation.

        None if a later call was about its booking.
        """
        has_talked = self.outcome in (Outcome.ANSWERED, *BOOKED)
        if self.call is None or not has_talked or self.related.later is not None:
            return None
        return self.call.next_steps
