"""A call list: several candidates that are called one after another, until one call has what was wanted."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from kallyai_mcp.api.errors import (
    CountryRefusedError,
    KallyAIError,
    NotSignedInError,
    NumberRefusedError,
    PolicyError,
    UnauthorizedError,
)
from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.numbers import zone_of_number
from kallyai_mcp.calls.other_time import spoken_language
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState, fingerprint

Until = Literal["booked", "answered", "all"]

_ONE_NUMBER = ("KALLYAI_DENY_NUMBERS", "KALLYAI_ALLOW_NUMBERS")
"""The settings that refuse one candidate, and not all of them."""

_ASK_ONLY = {
    "en": "Only ask. Do not book, order, or agree to anything.",
    "es": "Solo pregunta. No reserves, no pidas y no aceptes nada.",
}


LONGEST = timedelta(hours=2)
"""So long after a list was asked for its last call is placed at most."""


class StopReason(StrEnum):
    """Why a list has stopped.

    `BOOKED`: KallyAI has a calendar event. `ANSWERED`: somebody talked, which was all that was wanted. `DONE`: every
    candidate was called. `NEEDS_DECISION`: somebody talked, and something may have been booked. `UNKNOWN`: how a call
    ended is not known. `NEEDS_SIGN_IN`: the account is no longer signed in. `REFUSED`: no call may be placed now.
    `CANCELED`: the user canceled it.
    """

    BOOKED = "booked"
    ANSWERED = "answered"
    DONE = "done"
    NEEDS_DECISION = "needs_decision"
    UNKNOWN = "unknown"
    NEEDS_SIGN_IN = "needs_sign_in"
    REFUSED = "refused"
    CANCELED = "canceled"


GOES_ON_AFTER = frozenset({StopReason.NEEDS_DECISION, StopReason.UNKNOWN, StopReason.ANSWERED})
"""The list may go on when the user wants it, although somebody may have talked."""

GOES_ON_WHEN_ASKED = frozenset({StopReason.NEEDS_SIGN_IN, StopReason.REFUSED})
"""The list goes on when it is asked for again: the next call was not placed."""


@dataclass(frozen=True)
class ListConsent:
    """What a user agreed to for the candidates of a list who are still to come.

    Attributes:
        consent: How, and with which reasons.
        last_calls: When each number had been called last at that time, as `ListLedger.last_calls` gave it.
    """

    consent: Consent
    last_calls: tuple[datetime | None, ...]


@dataclass(frozen=True)
class CallList:
    """A list as the ledger has it.

    Attributes:
        list_id: The id that an agent uses.
        account: Which account its calls are placed on.
        submissions: What KallyAI is asked to do, for each candidate in turn.
        until: When it stops.
        accept_other_time: A booking for another time is what was wanted, too.
        timezone: IANA name of the zone of the submissions' times.
        own_zones: The times are those of each candidate, and `timezone` counts only where a number tells no zone.
        asked_at: When it was asked for.
        session_id: The same for all calls of a session.
        consent: What the user agreed to; it covers all its calls.
        agreed_at: When they did, last; None while it is not written down.
        worker: The worker that runs it, or ran it last.
        passed: So many candidates are passed, whatever became of them: the user went on.
        stop_reason: Why it has stopped; None while it goes on.
        ended_at: When it stopped.
        refusal: The setting that made it stop, if one did.
        records: The calls so far, in turn.
    """

    list_id: str
    account: AccountKey
    submissions: tuple[Submission, ...]
    until: Until
    accept_other_time: bool
    timezone: str
    asked_at: datetime
    own_zones: bool = False
    session_id: str | None = None
    consent: Consent | None = None
    agreed_at: datetime | None = None
    worker: str = ""
    passed: int = 0
    stop_reason: StopReason | None = None
    ended_at: datetime | None = None
    refusal: KallyAIError | None = None
    records: tuple[CallRecord, ...] = ()

    @property
    def fingerprint(self) -> str:
        """The same for two lists that ask for the same calls, in any order."""
        calls = sorted(fingerprint(submission) for submission in self.submissions)
        return hashlib.sha256(json.dumps([self.until, self.accept_other_time, *calls]).encode()).hexdigest()

    @property
    def not_called(self) -> tuple[Submission, ...]:
        """The candidates whose turn has not come."""
        return self.submissions[len(self.records) :]

    @property
    def to_come(self) -> tuple[Submission, ...]:
        """The candidates who may be called if it goes on; the one who could not be called before is among them."""
        return self.submissions[len(self.records) - self.was_refused :]

    @property
    def was_refused(self) -> bool:
        """Whether its last call was not placed for a reason that holds for the next ones, too."""
        error = self.records[-1].error if self.records and self.records[-1].state is CallState.REFUSED else None
        return error is not None and stop_reason_of_refusal(error) is not None

    def may_go_on(self, after: int | None) -> bool:
        """Whether it has stopped and may go on so: past `after` candidates, or with the one who wasn't called."""
        if after is None:
            return self.stop_reason in GOES_ON_WHEN_ASKED
        return self.stop_reason in GOES_ON_AFTER and after == len(self.records)

    def zone_of(self, submission: Submission) -> str:
        """IANA name of the zone of the times of one of its submissions."""
        return (zone_of_number(submission.respondent_phone) if self.own_zones else None) or self.timezone

    @property
    def is_calling(self) -> bool:
        """Whether a call of it is in progress, also when no further candidate is called."""
        return bool(self.records) and self.records[-1].is_active

    @property
    def is_open(self) -> bool:
        """Whether it goes on, or its last call does."""
        return self.stop_reason is None or self.is_calling

    @property
    def was_found_unreached(self) -> bool:
        """Whether it stopped at an unknown outcome that was found since: nobody was reached."""
        return self.stop_reason is StopReason.UNKNOWN and self.next_stop_reason() is None

    @property
    def waits_for_user(self) -> bool:
        """Whether it has stopped, and goes on when the user wants that."""
        if self.stop_reason in GOES_ON_WHEN_ASKED:
            return True
        return self.stop_reason in (StopReason.NEEDS_DECISION, StopReason.UNKNOWN) and bool(self.not_called)

    @property
    def language(self) -> str | None:
        """The language of its summaries, if it names one: `en` or `es`."""
        return self.submissions[0].language

    @property
    def may_have_reached(self) -> bool:
        """Whether a call of it reached somebody, or may have, or may yet."""
        return any(record.is_active or record.state is CallState.UNKNOWN or record.reached for record in self.records)

    def next_stop_reason(self) -> StopReason | None:
        """Why no further candidate may be called, by how the last call ended; None when the next one's turn has come.

        The last call is not in progress.
        """
        if not self.records:
            return None
        record = self.records[-1]
        if len(self.records) > self.passed and (reason := self._stop_reason_after(record)) is not None:
            return reason
        return StopReason.DONE if len(self.records) == len(self.submissions) else None

    def _stop_reason_after(self, record: CallRecord) -> StopReason | None:
        if record.state is CallState.CANCELED:
            return StopReason.CANCELED
        if record.state is CallState.REFUSED and record.error is not None:
            return stop_reason_of_refusal(record.error)
        if record.state is CallState.UNKNOWN or record.outcome is Outcome.UNKNOWN:
            return None if self.until == "all" else StopReason.UNKNOWN
        if record.state is CallState.SCHEDULED:
            return StopReason.NEEDS_DECISION
        if record.call is None or self.until == "all" or not record.reached:
            return None
        if record.outcome in (Outcome.FAILED, Outcome.CANCELED):
            return StopReason.NEEDS_DECISION
        if self.until == "answered":
            return StopReason.ANSWERED
        wanted = {Outcome.BOOKED} | ({Outcome.BOOKED_OTHER_TIME} if self.accept_other_time else set())
        return StopReason.BOOKED if record.outcome in wanted else StopReason.NEEDS_DECISION


def stop_reason_of_refusal(error: KallyAIError) -> StopReason | None:
    """Why a list stops after a call was refused; None when only this candidate can't be called."""
    if isinstance(error, NotSignedInError | UnauthorizedError) or error.code == "account_changed":
        return StopReason.NEEDS_SIGN_IN
    if isinstance(error, PolicyError) and error.setting in _ONE_NUMBER:
        return None
    if isinstance(error, NumberRefusedError | CountryRefusedError):
        return None
    return StopReason.REFUSED


def ask_only(submission: Submission) -> Submission:
    """`submission` with the instruction to ask and agree to nothing."""
    instructions = (*(submission.additional_instructions or ()), _ASK_ONLY[spoken_language(submission)])
    return submission.model_copy(update={"additional_instructions": instructions})
