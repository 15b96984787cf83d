"""What is written down of a call: a record from before its request leaves until after its outcome is known."""

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from kallyai_mcp.api.errors import ERROR_CLASSES, KallyAIError, sanitize
from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.policy import Consent


class CallState(StrEnum):
    """How far a call has come.

    `PREPARED`: written down, nothing sent. `SENT`: the request may have left, and nothing is known yet. `ENDED`: it has
    an outcome. `REFUSED`: nothing was dialled. `UNKNOWN`: it may have been dialled, and nothing could be found out.
    """

    PREPARED = "prepared"
    SENT = "sent"
    ENDED = "ended"
    REFUSED = "refused"
    UNKNOWN = "unknown"


UNDER_WAY = frozenset({CallState.PREPARED, CallState.SENT})
"""The states of a call that somebody must still bring to an end."""


@dataclass(frozen=True)
class AccountKey:
    """Whose calls: the API's address and the account there. Nobody sees the records of another scope."""

    api: str
    account: str


@dataclass(frozen=True)
class CallRecord:
    """One call as the ledger has it.

    Attributes:
        tracking_id: What an agent asks for it by, until there is a `call_id`.
        scope: Whose it is.
        fingerprint: The same for two submissions that ask for the same call.
        key: The Idempotency-Key of every request for it.
        submission: What is to be said to whom.
        timezone: IANA name of the user's time zone.
        owner: The process that carries it out.
        state: How far it has come.
        placed_at: When it was asked for (aware, as are the others).
        sent_at: When its request may have left first.
        lost_at: When an answer to it was lost; None while all is well.
        ended_at: When its end was written down.
        call_id: The service's id, once it is known.
        call: The outcome (`ENDED`).
        error: Why nothing was dialled (`REFUSED`) or why nothing is known (`UNKNOWN`).
        handed_out: An agent has been told how it ended.
    """

    tracking_id: str
    scope: AccountKey
    fingerprint: str
    key: str
    submission: Submission
    timezone: str
    owner: str
    state: CallState
    placed_at: datetime
    sent_at: datetime | None = None
    lost_at: datetime | None = None
    ended_at: datetime | None = None
    call_id: str | None = None
    call: Call | None = None
    error: KallyAIError | None = None
    handed_out: bool = False

    @property
    def is_under_way(self) -> bool:
        """Whether its end is still to come."""
        return self.state in UNDER_WAY

    def elapsed(self, now: datetime) -> float:
        """Seconds since it was asked for."""
        return max(0.0, (now - self.placed_at).total_seconds())


@dataclass(frozen=True, repr=False)
class AuditEntry:
    """One line of the audit trail: a call that was placed, or that a guard rail refused.

    Attributes:
        at: When (aware).
        number: Which number, E.164; shortened in the repr.
        outcome: `placed`, or `refused:` and the setting's name.
        tracking_id: Of the call that was placed; None for one that was refused.
        asked_by: The client's name and version, as it calls itself; None when it isn't known, as are the others.
        how: How consent was had (`guards.How`).
        oddities: What was odd (`guards.Oddity`); a later version may have written more.
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


PLACED = "placed"
"""The outcome of a call in the audit trail that no guard rail refused."""


def refused_by(setting: str) -> str:
    """The outcome of a call in the audit trail that `setting` refused."""
    return f"refused:{setting}"


def fingerprint(submission: Submission) -> str:
    """A digest that is the same for submissions that ask for the same call, however they are typed.

    Case, white space and Unicode's ways of writing the same letter don't count; everything else does. The time zone is
    no part of it: an agent that leaves it out the second time still means the same table.
    """
    fields = {name: normal(value) for name, value in submission.as_json().items()}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def normal(value: Any) -> Any:
    """A JSON value without what doesn't change its meaning: case, white space, Unicode's spellings of one letter."""
    if isinstance(value, str):
        return " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    return [normal(item) for item in value] if isinstance(value, list) else value


def error_document(error: KallyAIError) -> dict[str, Any]:
    """`error` as JSON types; `error_from` reads it back."""
    return {"class": type(error).__name__, **vars(error)}


def error_from(document: dict[str, Any]) -> KallyAIError:
    """The error that `error_document` wrote down; a class that this version doesn't know becomes `KallyAIError`."""
    given = dict(document)
    cls = ERROR_CLASSES.get(given.pop("class"), KallyAIError)
    error: KallyAIError = cls(given.pop("message"), **given)
    return error


def to_document(record: CallRecord) -> dict[str, Any]:
    """`record` as flat columns, as every back end of the ledger keeps them; `from_document` reads them back.

    Text, moments as seconds since the epoch (floats), what has parts as JSON in text, `handed_out` as 0 or 1, and None
    for what there is not.
    """
    return {
        "tracking_id": record.tracking_id,
        "api": record.scope.api,
        "account": record.scope.account,
        "fingerprint": record.fingerprint,
        "idempotency_key": record.key,
        "submission": json.dumps(record.submission.as_json()),
        "timezone": record.timezone,
        "owner": record.owner,
        "state": record.state.value,
        "placed_at": record.placed_at.timestamp(),
        "sent_at": _seconds(record.sent_at),
        "lost_at": _seconds(record.lost_at),
        "ended_at": _seconds(record.ended_at),
        "call_id": record.call_id,
        **end_document(record.call, record.error),
        "handed_out": int(record.handed_out),
    }


def end_document(call: Call | None, error: KallyAIError | None) -> dict[str, str | None]:
    """The columns `outcome` and `error` of a record that ends so."""
    return {
        "outcome": call.model_dump_json() if call is not None else None,
        "error": json.dumps(error_document(error)) if error is not None else None,
    }


def from_document(document: Mapping[str, Any]) -> CallRecord:
    """The record that `to_document` wrote down.

    Args:
        document: The columns; numbers may also be text, what is None may be missing, and further columns are ignored.
    """
    outcome, error = document.get("outcome"), document.get("error")
    return CallRecord(
        tracking_id=document["tracking_id"],
        scope=AccountKey(document["api"], document["account"]),
        fingerprint=document["fingerprint"],
        key=document["idempotency_key"],
        submission=Submission.model_validate_json(document["submission"]),
        timezone=document["timezone"],
        owner=document["owner"],
        state=CallState(document["state"]),
        placed_at=datetime.fromtimestamp(float(document["placed_at"]), UTC),
        sent_at=_moment(document.get("sent_at")),
        lost_at=_moment(document.get("lost_at")),
        ended_at=_moment(document.get("ended_at")),
        call_id=document.get("call_id"),
        call=Call.model_validate_json(outcome) if outcome else None,
        error=error_from(json.loads(error)) if error else None,
        handed_out=bool(int(document["handed_out"])),
    )


def audit_document(record: CallRecord, consent: Consent | None) -> dict[str, Any]:
    """A line of the audit trail about `record` as flat columns, but for its outcome; `audit_from` reads it back."""
    return {
        "at": record.placed_at.timestamp(),
        "tracking_id": record.tracking_id,
        "number": record.submission.respondent_phone,
        "asked_by": sanitize(consent.asked_by) if consent and consent.asked_by else None,
        "how": consent.how if consent else None,
        "oddities": json.dumps(consent.risk_flags if consent else ()),
    }


def audit_from(document: Mapping[str, Any], outcome: str) -> AuditEntry:
    """The line that `audit_document` wrote down; further columns are ignored."""
    return AuditEntry(
        at=datetime.fromtimestamp(document["at"], UTC),
        number=document["number"],
        outcome=outcome,
        tracking_id=document["tracking_id"] if outcome == PLACED else None,
        asked_by=document["asked_by"],
        how=document["how"],
        risk_flags=tuple(json.loads(document["oddities"])),
    )


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment is not None else None


def _moment(value: float | str | None) -> datetime | None:
    return datetime.fromtimestamp(float(value), UTC) if value is not None else None
