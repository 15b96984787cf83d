"""A call record: what is written down of a call from before its request leaves until after its outcome is delivered."""

import hashlib
import json
import unicodedata
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from kallyai_mcp.api.errors import ERROR_CLASSES, KallyAIError, sanitize
from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.appointment import Calendar
from kallyai_mcp.calls.ledger.base import moment, moment_or_none, seconds_or_none
from kallyai_mcp.calls.other_time import without_other_time
from kallyai_mcp.calls.outcome import Outcome, may_tell_more, outcome_of
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.schedule import NOW, Schedule

_TRACKING = "t-"


class CallState(StrEnum):
    """How far a call has come.

    `RESERVED`: written down, nothing sent. `SENT`: the request may have left, and nothing else is known yet. `ENDED`:
    it has an outcome. `REFUSED`: no call was placed. `UNKNOWN`: a call may have been placed, and its outcome could not
    be found. `CANCELED`: the user canceled it before anything was sent. `SCHEDULED`: it is due at a time that has not
    come. `EXPIRED`: it was not placed when it was due.
    """

    SCHEDULED = "scheduled"
    RESERVED = "reserved"
    SENT = "sent"
    ENDED = "ended"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    CANCELED = "canceled"
    EXPIRED = "expired"


ACTIVE = frozenset({CallState.RESERVED, CallState.SENT})
"""The states of a call that a worker must still bring to an end."""


@dataclass(frozen=True)
class AccountKey:
    """One account at one KallyAI. No account sees the records of another.

    Attributes:
        api: The address of the API.
        account: The account's name there, as its access token gives it.
    """

    api: str
    account: str

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the ledger that name it."""
        return {"api": self.api, "account": self.account}


@dataclass(frozen=True)
class CallRecord:
    """One call as the ledger has it. All times are aware.

    Attributes:
        tracking_id: The id that an agent uses until there is a `call_id`.
        account: Which account the call is placed on.
        fingerprint: The same for two submissions that ask for the same call.
        day: The UTC date on which it was asked for, as YYYY-MM-DD.
        generation: How many records of this fingerprint and day came before it.
        idempotency_key: The Idempotency-Key of every request for it ("Create Call").
        submission: What KallyAI is asked to do.
        timezone: IANA name of the user's time zone.
        session_id: The same for all calls of a session ("CallCreateRequest"); None for a call of none.
        worker: The worker that runs it, or ran it last.
        state: How far it has come.
        placed_at: When it was asked for; of a scheduled call that was placed, when it was due and a worker took it.
        sent_at: When its request may have left first.
        clock_offset: How far the service's clock was ahead of the ledger's then, in seconds; None when not known.
        response_lost_at: When a response to it was lost; None while none was.
        ended_at: When its end was written down.
        delivered_at: When a client was told how it ended; None while none was.
        call_id: The service's id, once it is known.
        call: How the call ended, as KallyAI reports it; also while it is `SENT`, until its calendar was looked up.
        calendar: What KallyAI's calendar file says of it; None when it was not asked for.
        reached: Somebody may have talked in it (`outcome.reached_somebody`); None until it has an outcome.
        error: Why no call was placed (`REFUSED`, `EXPIRED`), or why its outcome is not known (`UNKNOWN`).
        schedule: When it is due, and how often it may be placed.
    """

    tracking_id: str
    account: AccountKey
    fingerprint: str
    submission: Submission
    timezone: str
    worker: str
    placed_at: datetime
    day: str = ""
    generation: int = 0
    idempotency_key: str = ""
    session_id: str | None = None
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
    error: KallyAIError | None = None
    schedule: Schedule = NOW

    @classmethod
    def new(
        cls,
        submission: Submission,
        account: AccountKey,
        placed_at: datetime,
        *,
        timezone: str,
        session_id: str | None,
        worker: str = "",
        schedule: Schedule = NOW,
    ) -> "CallRecord":
        """A record of a call that is asked for now, not written down yet."""
        state = CallState.RESERVED if schedule.not_before is None else CallState.SCHEDULED
        return cls(
            tracking_id=new_tracking_id(),
            account=account,
            fingerprint=fingerprint(submission),
            submission=submission,
            timezone=timezone,
            session_id=session_id,
            worker=worker,
            state=state,
            placed_at=placed_at,
            schedule=schedule,
        )

    @property
    def is_active(self) -> bool:
        """Whether it is in progress."""
        return self.state in ACTIVE

    @property
    def is_open(self) -> bool:
        """Whether its end is still to come: it is in progress or scheduled."""
        return self.is_active or self.state is CallState.SCHEDULED

    def is_awaited(self, until: datetime | None) -> bool:
        """Whether its end, or that of an attempt, may come by `until`; None for any time."""
        due = self.schedule.not_before
        is_due = self.state is CallState.SCHEDULED and (until is None or (due is not None and due <= until))
        return self.is_active or is_due

    @property
    def may_change(self) -> bool:
        """Whether KallyAI may tell more of how it ended."""
        has_open_end = self.call is not None and (may_tell_more(self.call) or self.is_calendar_unread)
        return self.state is CallState.UNKNOWN or (self.state is CallState.ENDED and has_open_end)

    @property
    def is_calendar_unread(self) -> bool:
        """Whether KallyAI was asked for the calendar file, and did not answer that."""
        return self.calendar is not None and not self.calendar.is_known

    @property
    def is_delivered(self) -> bool:
        """Whether a client was told how it ended."""
        return self.delivered_at is not None

    @property
    def outcome(self) -> Outcome | None:
        """What may be claimed of it; None while it is active, and for a call that was not placed."""
        if self.state is CallState.ENDED and self.call is not None:
            day, time = self.submission.appointment_date, self.submission.appointment_time
            day_text = day.isoformat() if day else None
            zone, reached = ZoneInfo(self.timezone), self.reached is not False
            return outcome_of(self.call, self.calendar, reached=reached, day=day_text, time=time, zone=zone)
        return Outcome.UNKNOWN if self.state is CallState.UNKNOWN else None

    def elapsed(self, now: datetime) -> float:
        """Seconds since it was asked for; 0 when a clock was set back."""
        return max(0.0, (now - self.placed_at).total_seconds())


@dataclass(frozen=True, repr=False)
class AuditEntry:
    """One line of the audit trail: a call that was placed, or that a setting refused.

    Attributes:
        at: When (aware).
        number: E.164; shortened in the repr.
        outcome: `placed`, `scheduled`, or `refused:` and the setting's name.
        tracking_id: The record of the call; None for one that was refused.
        asked_by: The client's name and version, as it calls itself; None when it isn't known, as for the next two.
        how: How consent was given (`policy.ConsentKind`).
        risk_flags: The reasons to ask the user first (`policy.RiskFlag`).
    """

    at: datetime
    number: str
    outcome: str
    tracking_id: str | None = None
    asked_by: str | None = None
    how: str | None = None
    risk_flags: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"AuditEntry({self.at:%Y-%m-%dT%H:%M:%S%z}, {self.number[:2]}…{self.number[-2:]}, {self.outcome})"


PLACED, SCHEDULED = "placed", "scheduled"
"""The outcomes of a call in the audit trail that no setting refused."""


def new_tracking_id() -> str:
    """An id for a record; `is_tracking_id` tells it from the service's ids."""
    return f"{_TRACKING}{uuid.uuid4()}"


def is_tracking_id(id_: str) -> bool:
    """Whether only a ledger can know this id."""
    return id_.startswith(_TRACKING)


def fingerprint(submission: Submission) -> str:
    """A digest that is the same for submissions that ask for the same call, however they are typed.

    What `normalized` leaves out doesn't count; everything else does. The time zone is not part of it: an agent that
    leaves it out the second time still means the same table.
    """
    fields = {name: normalized(value) for name, value in without_other_time(submission.as_json()).items()}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def normalized(value: Any) -> Any:
    """A JSON value without what doesn't change its meaning.

    That is case, white space, Unicode's ways to write one letter, and characters that are not visible.
    """
    if isinstance(value, str):
        text = unicodedata.normalize("NFKC", value).casefold()
        return " ".join("".join(char for char in text if unicodedata.category(char) != "Cf").split())
    return [normalized(item) for item in value] if isinstance(value, list) else value


def idempotency_key(account: AccountKey, fingerprint: str, day: str, generation: int) -> str:
    """The Idempotency-Key of a call: a UUID that a second machine, or one that lost its ledger, derives too."""
    named = json.dumps([account.api, account.account, fingerprint, day, generation])
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"kallyai-mcp/call/{named}"))


_AS_THEY_ARE = (
    *("tracking_id", "fingerprint", "day", "generation", "idempotency_key", "timezone", "session_id", "worker"),
    *("clock_offset", "call_id"),
)
_TIMES = ("placed_at", "sent_at", "response_lost_at", "ended_at", "delivered_at")
"""The attributes of a record that its row has under the same name."""


def to_row(record: CallRecord) -> dict[str, Any]:
    """`record` as a row of the table `calls`, without `confirmation_id`; `from_row` reads it back."""
    return {
        **{name: getattr(record, name) for name in _AS_THEY_ARE},
        **{name: seconds_or_none(getattr(record, name)) for name in _TIMES},
        **record.account.columns,
        "number": record.submission.respondent_phone,
        "submission": json.dumps(record.submission.as_json()),
        "state": record.state.value,
        **Ending(record.call, record.calendar, record.error, record.reached).columns,
        **record.schedule.columns,
    }


@dataclass(frozen=True)
class Ending:
    """How a record ends; see the attributes of `CallRecord`."""

    call: Call | None = None
    calendar: Calendar | None = None
    error: KallyAIError | None = None
    reached: bool | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """The columns `outcome`, `calendar`, `reached`, and `error`."""
        return {
            "outcome": self.call.model_dump_json() if self.call is not None else None,
            "calendar": self.calendar.to_json() if self.calendar is not None else None,
            "reached": int(self.reached) if self.reached is not None else None,
            "error": error_text(self.error),
        }


@lru_cache(1024)
def _submission(text: str) -> Submission:
    """The submission in a row: one object for all copies of its record, which are read again while a call goes on."""
    return Submission.model_validate_json(text)


def from_row(row: Mapping[str, Any]) -> CallRecord:
    """The record that `to_row` wrote; further columns are ignored.

    Raises:
        ValueError: This version can't read it (`pydantic.ValidationError` is one, too).
        KeyError, TypeError: The same.
    """
    times: dict[str, Any] = {name: moment_or_none(row[name]) for name in _TIMES}
    return CallRecord(
        **{name: row[name] for name in _AS_THEY_ARE},
        **times,
        account=AccountKey(row["api"], row["account"]),
        submission=_submission(row["submission"]),
        state=CallState(row["state"]),
        call=Call.model_validate_json(row["outcome"]) if row["outcome"] else None,
        calendar=Calendar.from_json(row["calendar"]) if row["calendar"] else None,
        reached=bool(row["reached"]) if row["reached"] is not None else None,
        error=error_from(row["error"]),
        schedule=Schedule.from_row(row),
    )


def audit_row(record: CallRecord, consent: Consent | None, outcome: str, at: float) -> dict[str, Any]:
    """A row of the table `audit`; `audit_from_row` reads it back."""
    return {
        "at": at,
        **record.account.columns,
        "tracking_id": record.tracking_id,
        "number": record.submission.respondent_phone,
        "asked_by": sanitize(consent.asked_by) if consent and consent.asked_by else None,
        "how": consent.how if consent else None,
        "risk_flags": json.dumps(consent.risk_flags if consent else ()),
        "outcome": outcome,
    }


def audit_from_row(row: Mapping[str, Any]) -> AuditEntry:
    """The entry that `audit_row` wrote."""
    return AuditEntry(
        at=moment(row["at"]),
        number=row["number"],
        outcome=row["outcome"],
        tracking_id=row["tracking_id"] if row["outcome"] in (PLACED, SCHEDULED) else None,
        asked_by=row["asked_by"],
        how=row["how"],
        risk_flags=tuple(json.loads(row["risk_flags"])),
    )


def error_text(error: KallyAIError | None) -> str | None:
    """What the ledger stores for an error, if there is one; `error_from` reads it back."""
    return json.dumps({"class": type(error).__name__, **vars(error)}) if error is not None else None


def error_from(text: str | None) -> KallyAIError | None:
    """The error that `error_text` wrote, if there was one; a class that is not known here becomes `KallyAIError`.

    Raises:
        ValueError, KeyError, TypeError: This version can't read it.
    """
    if not text:
        return None
    stored: dict[str, Any] = json.loads(text)
    cls = ERROR_CLASSES.get(stored.pop("class"), KallyAIError)
    error: KallyAIError = cls(stored.pop("message"), **stored)
    return error
