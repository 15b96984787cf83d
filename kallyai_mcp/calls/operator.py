"""What the operator of a server is told of the calls of all accounts."""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.records import AccountKey, CallRecord


class CallGroup(StrEnum):
    """A group of calls that an operator looks for."""

    IN_PROGRESS = "in_progress"
    SCHEDULED = "scheduled"
    DUE = "due"  # scheduled, and may be placed now
    LATE = "late"  # scheduled, and may no longer be placed
    UNKNOWN = "unknown"
    ENDED = "ended"
    REFUSED = "refused"
    CANCELED = "canceled"
    EXPIRED = "expired"


@dataclass(frozen=True, kw_only=True)
class KnownCall:
    """A call as far as every version can read it.

    Attributes:
        state: Its `CallState`, or one that only a newer version knows.
        outcome: What may be claimed about it; None while it is open, and if it was not placed.
        code: The code of the error that says why it was not placed, or is unknown.
        disclosed: Whether KallyAI said that it is an AI; None without a transcript.
    """

    tracking_id: str
    call_id: str | None
    account: AccountKey
    number: str
    state: str
    asked_at: datetime
    due_at: datetime | None
    outcome: Outcome | None = None
    code: str | None = None
    disclosed: bool | None = None

    def with_end_of(self, record: CallRecord) -> "KnownCall":
        """With what the record of the call says about its end."""
        code = record.error.code if record.error is not None else None
        disclosure = record.spoken.disclosure if record.spoken is not None else None
        disclosed = disclosure.said if disclosure is not None else None
        return replace(self, outcome=record.outcome, code=code, disclosed=disclosed)


@dataclass(frozen=True)
class Deleted:
    """How many calls of an account were deleted, and of how many of them hashes stay for a day."""

    calls: int
    kept_as_hashes: int
    is_more: bool  # some are left

    def then(self, later: "Deleted") -> "Deleted":
        """These, and those that were deleted later."""
        kept = self.kept_as_hashes + later.kept_as_hashes
        return Deleted(self.calls + later.calls, kept, is_more=later.is_more)


@dataclass(frozen=True, kw_only=True)
class WantedEntries:
    """Which entries of the audit trail are wanted. What is None does not matter.

    Attributes:
        account: The id of the account.
        number: The number called, as a pattern (`numbers_like`).
        call: The `tracking_id` or KallyAI's id of the call, or its beginning.
        since: The first moment.
        until: The moment before which an entry was written.
    """

    account: str | None = None
    number: str | None = None
    call: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """An entry of the audit trail.

    Attributes:
        decision: "placed", "scheduled", or "refused:" and the setting.
        how: How the user agreed; None if nobody was asked.
        call: The call; None if it was refused, or its record is not kept any more.
    """

    at: datetime
    account: AccountKey
    number: str
    decision: str
    asked_by: str | None
    how: str | None
    risk_flags: tuple[str, ...]
    tracking_id: str | None
    call: KnownCall | None


def numbers_like(written: str) -> str | None:
    """The pattern of SQL's LIKE for the phone numbers that are written so; None without a digit.

    With +, it is a number or its beginning, else the end of one. As in logs, … or ... stands for
    the digits in between: +1…34.
    """
    parts = [re.sub(r"\D", "", part) for part in re.split(r"…|\.{3}", written)]
    if not any(parts):
        return None
    if not written.strip().startswith("+"):
        return f"%{parts[-1]}"
    is_beginning = len(parts) == 1 or not parts[-1]
    return f"+{parts[0]}%" if is_beginning else f"+{parts[0]}%{parts[-1]}"
