"""The call record: how one call is stored, from before its request leaves until after its outcome
is delivered.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.appointment import Calendar
from kallyai_mcp.calls.fingerprint import fingerprint
from kallyai_mcp.calls.known_end import Detail, KnownEnd
from kallyai_mcp.calls.opt_outs import OptOut
from kallyai_mcp.calls.outcome import Findings, Outcome, outcome_of
from kallyai_mcp.calls.schedule import AT_ONCE, Schedule
from kallyai_mcp.calls.speech.spoken import Spoken
from kallyai_mcp.calls.tracking_ids import new_tracking_id
from kallyai_mcp.clock import Stopwatch

DATED_EARLIER = timedelta(minutes=2)
"""How much earlier than its request a call may be dated: the service's clocks may differ from ours
and each other.
"""

_SAME_MOMENT = timedelta(seconds=2)
"""How much earlier than its request a call may seem to be created: KallyAI's times are in whole
seconds."""


class CallState(StrEnum):
    """How far a call has come."""

    SCHEDULED = "scheduled"  # due later; nothing was sent
    RESERVED = "reserved"  # in the ledger; nothing was sent
    SENT = "sent"  # the request may have left, and its end is not known yet
    ENDED = "ended"  # it has an outcome
    REFUSED = "refused"  # no call was placed
    UNKNOWN = "unknown"  # a call may have been placed, and its outcome could not be found
    CANCELED = "canceled"  # the user canceled it before anything was sent
    EXPIRED = "expired"  # not placed when it was due

    @property
    def is_active(self) -> bool:
        """Whether a worker must still run the call to its end."""
        return self in ACTIVE

    @property
    def is_open(self) -> bool:
        """Whether the call has not ended: it is in progress or scheduled."""
        return self in OPEN


# The order is that of the words of the indexes in `ledger/migrations`, which SQLite compares.

ACTIVE = (CallState.RESERVED, CallState.SENT)
"""The states of a call that a worker must still run to its end."""

WAITING = (CallState.SCHEDULED, CallState.RESERVED)
"""The states of a call whose request has not left, and may leave."""

OPEN = (CallState.SCHEDULED, *ACTIVE)
"""The states of a call that has not ended. An account has at most one such record of a call."""

NEVER_PLACED = (CallState.EXPIRED, CallState.REFUSED, CallState.CANCELED)
"""The states of a call that is over, and was not placed."""

NOT_PLACED = (CallState.SCHEDULED, *NEVER_PLACED)
"""The states of a call that was certainly not placed so far."""

OVER = (CallState.ENDED, CallState.UNKNOWN, *NEVER_PLACED)
"""The states of a call that no worker runs any more."""


class PlacedFor(StrEnum):
    """Which request KallyAI placed a call for: it answers a repeated key with an earlier call."""

    THIS_REQUEST = "this request"
    EARLIER_REQUEST = "earlier request"
    UNKNOWN = "unknown"  # KallyAI's clock is not known


@dataclass(frozen=True, slots=True)
class AccountKey:
    """One account, named as in its access token, at one KallyAI, `api`.

    No account sees the records of another.
    """

    api: str
    account: str

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the ledger that name the account."""
        return {"api": self.api, "account": self.account}


@dataclass(frozen=True, slots=True)
class CallRequest:
    """What `Calls` is asked for: one call, now or later.

    Attributes:
        submission: What KallyAI is told. It is valid and normalized.
        asked: What the agent asked for, if `submission` says more: what the booking was that the
            call is about. Requests that ask for the same are for the same call, also if the
            booking was changed between them.
        timezone: The IANA zone of the appointment.
        arrived: Runs since the request arrived. It is the same one when the user is asked again.
        redial: Place the call although the same one was just made.
    """

    submission: Submission
    timezone: str
    arrived: Stopwatch
    schedule: Schedule = AT_ONCE
    redial: bool = False
    session_id: str | None = None
    asked: Submission | None = None

    @property
    def fingerprint(self) -> str:
        """It is equal for two requests for the same call."""
        return fingerprint(self.asked or self.submission)


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call as the ledger has it. All times are aware.

    Attributes:
        tracking_id: The id that an agent uses until there is a `call_id`.
        day: The UTC date of `asked_at` when it got its key, as YYYY-MM-DD.
        generation: How many records have the same account, fingerprint, and day, and came before
            it.
        asked_at: When it was requested; for a scheduled call that was placed, when a worker took
            it to place it.
        session_id: What KallyAI is told: the agent's own text, or the `list_id` of the list that
            made the call.
        plan_id: The list that it is a call of; not of an earlier attempt, nor of a call that was
            taken back.
        sent_at: When its request may have left first; None before.
        clock_offset: How far the service's clock was ahead of the ledger's at `sent_at`, in
            seconds; None when unknown.
        response_lost_at: When the response to one of its requests was first lost; None if none was.
            Before its own request: when an earlier one with its key was sent, which was refused by
            429.
        delivered_at: When a client was told how it ended, or need not be told; None before.
        call: How the call ended, as KallyAI reports it. A `SENT` record has it while its calendar
            file is read.
        calendar: None when KallyAI was not asked for its calendar file.
        reached: Whether it reached somebody (`Findings.reached`); None until that is known.
        spoken: What its transcript shows; None while that was not read.
        agreed_opt_out: The opt-out (`OptOut.id`) that its user knew of when they agreed to it.
        is_new: A request has just made it; False for a duplicate, and for what is read from the
            ledger.
        last_call: When the number of a new one was called last; None for never. Not in the ledger.
        opt_out: The opt-out of the number of a new one. Not in its row of the ledger.
        error: Why no call was placed (`REFUSED`, `EXPIRED`), or why its outcome is not known
            (`UNKNOWN`).
    """

    tracking_id: str
    account: AccountKey
    fingerprint: str
    submission: Submission
    timezone: str
    worker: str
    asked_at: datetime
    day: str = ""
    generation: int = 0
    idempotency_key: str = ""
    session_id: str | None = None
    plan_id: str | None = None
    state: CallState = CallState.RESERVED
    sent_at: datetime | None = None
    clock_offset: float | None = None
    response_lost_at: datetime | None = None
    ended_at: datetime | None = None
    delivered_at: datetime | None = None
    call_id: str | None = None
    call: Call | None = None
    calendar: Calendar | None = None
    reached: bool | None = None
    spoken: Spoken | None = None
    agreed_opt_out: str | None = None
    error: KallyAIError | None = None
    schedule: Schedule = AT_ONCE
    is_new: bool = field(default=False, compare=False)
    last_call: datetime | None = field(default=None, compare=False)
    opt_out: OptOut | None = field(default=None, compare=False)

    @classmethod
    def new(
        cls,
        submission: Submission,
        account: AccountKey,
        asked_at: datetime,
        timezone: str,
        session_id: str | None = None,
        schedule: Schedule = AT_ONCE,
    ) -> "CallRecord":
        """A record that is not in the ledger yet, which chooses its `day`, `generation`, and
        `idempotency_key`.
        """
        state = CallState.RESERVED if schedule.not_before is None else CallState.SCHEDULED
        return cls(
            new_tracking_id(),
            account,
            fingerprint(submission),
            submission,
            timezone,
            worker="",
            asked_at=asked_at,
            session_id=session_id,
            state=state,
            schedule=schedule,
        )

    @property
    def is_active(self) -> bool:
        """Whether it is in progress."""
        return self.state.is_active

    @property
    def is_open(self) -> bool:
        """Whether it has not ended: it is in progress or scheduled."""
        return self.state.is_open

    @property
    def was_refused(self) -> bool:
        """Whether no call was placed, for the reason in `error`."""
        return self.state in (CallState.REFUSED, CallState.EXPIRED)

    def has_error(self, code: str) -> bool:
        """Whether `error` has this code."""
        return self.error is not None and self.error.code == code

    def is_awaited(self, until: datetime) -> bool:
        """Whether it is in progress, or scheduled and due by `until`."""
        if self.state is CallState.SCHEDULED:
            return self.schedule.has_begun(until)
        return self.is_active

    @property
    def is_of_list(self) -> bool:
        """Whether a list has made it; not so for a call that was asked for alone and joined one."""
        return self.plan_id is not None and self.plan_id == self.session_id

    @property
    def has_outcome(self) -> bool:
        """Whether it is over, and was placed or may have been."""
        return self.state in (CallState.ENDED, CallState.UNKNOWN)

    def was_delivered(self, before: datetime) -> bool:
        """Whether a client was told how it ended before this time."""
        return self.delivered_at is not None and self.delivered_at < before

    @property
    def may_change(self) -> bool:
        """Whether KallyAI may later say more about how it ended.

        An unknown status may not be final. The highlights may be written after the call, and so may
        the transcript, without which nothing shows that somebody talked.
        """
        end = self.known_end
        if self.state is not CallState.ENDED or end is None:
            return self.state is CallState.UNKNOWN
        return not end.is_whole

    def tells_more_than(self, known: "CallRecord") -> bool:
        """Whether it says more about how the call ended than its record `known` in the ledger
        (`KnownEnd.says_more_than`).
        """
        ours, theirs = self.known_end, known.known_end
        if ours is None or theirs is None:
            return False
        return ours.says_more_than(theirs)

    @property
    def known_end(self) -> KnownEnd | None:
        """What is known of how its call ended; None while KallyAI has not said that."""
        if self.call is None:
            return None
        is_known = {
            Detail.HIGHLIGHTS: self.call.highlights is not None,
            Detail.CALENDAR: not self.is_calendar_unread,
            Detail.TRANSCRIPT: self.spoken is not None,
        }
        details = frozenset(filter(is_known.get, Detail))
        return KnownEnd(self.call.plain_status, self.reached, details)

    def ended_with(self, call: Call, findings: Findings) -> "CallRecord":
        """The record after its call has ended, as `call` and `findings` say."""
        return replace(
            self,
            state=CallState.ENDED,
            call_id=call.call_id,
            call=call,
            error=None,
            **findings._asdict(),
        )

    @property
    def has_transcript(self) -> bool:
        """Whether its transcript was read, and has entries."""
        return self.spoken is not None and self.spoken.has_transcript

    @property
    def is_calendar_unread(self) -> bool:
        """Whether KallyAI was asked for the calendar file, without a usable answer."""
        return self.calendar is not None and not self.calendar.is_known

    @property
    def outcome(self) -> Outcome | None:
        """What may be claimed about it; None while it is open, and for a call that was not
        placed.
        """
        if self.state is CallState.ENDED and self.call is not None:
            asked = self.submission
            zone = self.timezone
            return outcome_of(
                self.call, self.calendar, reached=self.reached, asked=asked, zone_name=zone
            )
        return Outcome.UNKNOWN if self.state is CallState.UNKNOWN else None

    @property
    def created_at(self) -> datetime | None:
        """When KallyAI says that its call was created; None while it says nothing."""
        return self.call.created_at if self.call is not None else None

    @property
    def placed_for(self) -> PlacedFor:
        """Which request its call was placed for, by KallyAI's clock.

        It is this one while KallyAI has given no time.
        """
        if self.created_at is None:
            return PlacedFor.THIS_REQUEST
        if self.sent_at is None or self.clock_offset is None:
            return PlacedFor.UNKNOWN
        left = self.sent_at + timedelta(seconds=self.clock_offset)
        is_earlier = self.created_at < left - _SAME_MOMENT
        return PlacedFor.EARLIER_REQUEST if is_earlier else PlacedFor.THIS_REQUEST

    @property
    def is_earlier_call(self) -> bool:
        """Whether KallyAI answered with a call from before this request: the ledger has lost its
        record.
        """
        return self.placed_for is PlacedFor.EARLIER_REQUEST

    @property
    def sent_or_asked_at(self) -> datetime:
        """When its request left; until then, when it was asked for."""
        return self.sent_at or self.asked_at

    @property
    def called_at(self) -> datetime:
        """When it was placed at the earliest: by this machine's clock, the service's, and what
        KallyAI says.
        """
        slow = min(0.0, self.clock_offset or 0.0)
        sent = self.sent_or_asked_at + timedelta(seconds=slow)
        return min(sent, self.created_at or sent)

    def elapsed(self, now: datetime) -> float:
        """Seconds since it was asked for, or since an earlier call was placed; 0 when a clock was
        set back.
        """
        began = self.asked_at
        if self.is_earlier_call:
            began = self.created_at or began
        return max(0.0, (now - began).total_seconds())


EXPIRED = KallyAIError("No program placed the call while it was due.", code="expired")
"""Why a call has expired."""


def is_late(record: CallRecord, now: datetime) -> bool:
    """Whether a call is scheduled and may no longer be placed: its time has ended before `now`."""
    return record.state is CallState.SCHEDULED and record.schedule.is_over(now)


def is_due(record: CallRecord, now: datetime) -> bool:
    """Whether it is the time of a call that was scheduled; True for one that is due at once."""
    return record.schedule.has_begun(now) and not record.schedule.is_over(now)


def expired(record: CallRecord, now: datetime) -> CallRecord:
    """A late call (`is_late`) after it has ended."""
    return replace(record, state=CallState.EXPIRED, ended_at=now, error=EXPIRED)


def as_it_is_at(record: CallRecord, now: datetime, expires_before: datetime) -> CallRecord:
    """A record as everybody sees it: a call that is late before `expires_before` has expired, even
    if nothing has written that.
    """
    return expired(record, now) if is_late(record, expires_before) else record
