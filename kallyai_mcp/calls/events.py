"""What may happen to a call or a list: the events that `decisions.decide` answers.

Each names what `Ledger.handle` returns for it. A record in an event is the one that its sender has
read or written last: the ledger may know more by now, or another attempt.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call, Statistics
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.opt_outs import OptOut
from kallyai_mcp.calls.policy import NOT_LOOKED_AT, Consent
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.calls.speech.spoken import Spoken
from kallyai_mcp.clock import Stopwatch

Answer_co = TypeVar("Answer_co", covariant=True)

ServiceTime = Callable[[], datetime | None]
"""Returns the time by the service's clock (aware), None when it is not known.

Called when the event is decided: it may have waited for its turn.
"""


def not_known() -> datetime | None:
    """The time by the service's clock where nobody asks for it."""
    return None


class LastDelivered(NamedTuple):
    """The call whose outcome this process delivered last, and the time since then, by a clock that
    nobody sets.
    """

    tracking_id: str
    since: Stopwatch


class Event(Generic[Answer_co]):
    """Something that happened, with the type of its answer."""


# A call on its way


@dataclass(frozen=True)
class Leave(Event[CallRecord]):
    """A request for the call is about to leave. The answer is the record, which says `sent`."""

    record: CallRecord
    service_time: ServiceTime = not_known


@dataclass(frozen=True)
class Delayed(Event[CallRecord]):
    """The request has not left, or must leave once more, because of `error`."""

    record: CallRecord
    error: KallyAIError


@dataclass(frozen=True)
class Lost(Event[CallRecord]):
    """The response to a request was lost.

    Attributes:
        since_sent: Returns the seconds since the request left, whatever the wall clock says; None
            when another process sent it: then it is not known how far the clocks differed.
    """

    record: CallRecord
    service_time: ServiceTime = not_known
    since_sent: Callable[[], float] | None = None


@dataclass(frozen=True)
class Refuse(Event[CallRecord]):
    """No call was placed, because of `error`; a call that was due may wait."""

    record: CallRecord
    error: KallyAIError


@dataclass(frozen=True)
class Found(Event[CallRecord | None]):
    """KallyAI has this call for a record, which may have ended with it (`ended_with`).

    The answer is None when the call is bound to another record, or the record has gone on to
    another attempt.

    Attributes:
        proven: KallyAI answered the record's own request with the call; else it was found in the
            list.
    """

    record: CallRecord
    call: Call
    proven: bool
    service_time: ServiceTime = not_known


@dataclass(frozen=True)
class Over(Event[CallRecord]):
    """A call has ended as `ended` says: `ENDED`, `REFUSED`, or `UNKNOWN`.

    The answer is the record at its end, or its next attempt.
    """

    ended: CallRecord


@dataclass(frozen=True)
class Cancel(Event[bool]):
    """The user cancels a call. The answer says whether its request has not left."""

    tracking_id: str


@dataclass(frozen=True)
class Release(Event[None]):
    """A reservation was not confirmed, so its request has not left; it may have been written."""

    tracking_id: str


@dataclass(frozen=True)
class TranscriptRead(Event[None]):
    """A transcript of a call that has ended was read; the ledger need not have the call.

    Attributes:
        opt_out: What the words in `spoken` mean for the number, if only KallyAI has the call.
    """

    call_id: str
    spoken: Spoken
    opt_out: OptOut | None = None


@dataclass(frozen=True)
class RemoveOptOut(Event[OptOut | None]):
    """The user lets a number be called again. The answer is its opt-out; None if it had none."""

    number: str


# The calls of an account


@dataclass(frozen=True)
class Due(Event[tuple[CallRecord, ...]]):
    """A worker wants to place scheduled calls: `only` those with these ids, of calls or lists.

    The answer has those that are due now, by the service's clock too, if that is known. They are
    reserved.
    """

    worker: str
    only: Collection[str]
    service_time: ServiceTime = not_known


@dataclass(frozen=True)
class Adopt(Event[tuple[CallRecord, ...]]):
    """A worker takes over the account's active records that no living process runs.

    They are records of workers that have died, and records of `worker` that are not among the
    `known` tracking ids: a transaction may be committed without a confirmation.
    """

    worker: str
    known: Collection[str]


@dataclass(frozen=True)
class Late(Event[None]):
    """It may be too late for the scheduled calls with these tracking ids."""

    ids: Collection[str]


# A request for a call


@dataclass(frozen=True)
class Checked(Event[CallRecord]):
    """Somebody asks what a request for a call would get now; nothing is written.

    Attributes:
        redial: Place the call although the same one was just made.
        arrived: Runs since the request arrived; None for just now.
        last_delivered: The last of the same calls that this process delivered.
        older_fingerprint: That of the same call in the records of an older version, where it is
            another one; else None.
    """

    requested: CallRecord
    redial: bool
    arrived: Stopwatch | None = None
    last_delivered: LastDelivered | None = None
    older_fingerprint: str | None = None


@dataclass(frozen=True)
class Requested(Event[CallRecord]):
    """Somebody asks for a call. The answer is the new record, or the one that answers the request.

    Attributes:
        check: What is asked for, and when.
        consent: The user's consent.
        looked_at: The tracking id of the earlier call that KallyAI was asked about.
    """

    check: Checked
    consent: Consent = NOT_LOOKED_AT
    looked_at: str | None = None


# A list of candidates


@dataclass(frozen=True)
class ListRequested(Event[tuple[CallList, bool]]):
    """Somebody asks for a list, or that one goes on, with calls already (`CallList.may_go_on`).

    The answer is the list, and whether this request has begun it or let it go on.

    Attributes:
        worker: Reserves the next calls, which it sends at once.
        tracking_ids: The ids of those calls, as many as may be in progress at a time.
        usage: The account's statistics, where the consent is the first one; None if not known.
        agreed_ago: How many seconds ago, at most, the user agreed, or else the request arrived: a
            machine may be suspended after that, and the night begin.
    """

    requested: CallList
    consent: Consent
    worker: str
    tracking_ids: tuple[str, ...]
    usage: Statistics | None = None
    agreed_ago: float = 0.0


@dataclass(frozen=True)
class CancelList(Event[None]):
    """The user stops a list for good."""

    list_id: str
