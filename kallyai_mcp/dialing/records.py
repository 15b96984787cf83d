"""What is written down of a call: a record from before its request leaves until after its outcome is known."""

import hashlib
import json
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from kallyai_mcp.api import errors
from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call, Submission


class State(StrEnum):
    """How far a call has come.

    `PREPARED`: written down, nothing sent. `SENT`: the request may have left, and nothing is known yet. `ENDED`: it has
    an outcome. `REFUSED`: nothing was dialled. `UNKNOWN`: it may have been dialled, and nothing could be found out.
    """

    PREPARED = "prepared"
    SENT = "sent"
    ENDED = "ended"
    REFUSED = "refused"
    UNKNOWN = "unknown"


UNDER_WAY = frozenset({State.PREPARED, State.SENT})
"""The states of a call that somebody must still bring to an end."""


@dataclass(frozen=True)
class Scope:
    """Whose calls: the API's address and the account there. Nobody sees the records of another scope."""

    api: str
    account: str


@dataclass(frozen=True)
class Record:
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
    scope: Scope
    fingerprint: str
    key: str
    submission: Submission
    timezone: str
    owner: str
    state: State
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
    cls = getattr(errors, given.pop("class"), KallyAIError)
    error: KallyAIError = cls(given.pop("message"), **given)
    return error
