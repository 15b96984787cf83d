"""What happens to an account's calls, as events that a client can read in order."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kallyai_mcp.calls.records import CallRecord

ENDED = "call.ended"
"""A call has ended, will not be placed any more, or is not known to have been placed."""

NEEDS_DECISION = "call.needs_decision"
"""A call list has stopped, because something may have been agreed in its last call: somebody must look at it."""


NOT_FOUND: Final = -32023
FORBIDDEN: Final = -32024
RESOURCE_EXHAUSTED: Final = -32025
UNSUPPORTED: Final = -32026
CALLBACK_ENDPOINT_ERROR: Final = -32027
"""The error codes of SEP-3415, "Error Handling"."""

ACCESS_REVOKED: Final = "Access revoked"
"""The SEP's reason of a client that may not get events any more."""


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        position: Its place among all events of the account; they are numbered without gaps.
        event_id: The same however often and however the event is delivered.
        name: The type, such as `call.ended`.
        at: When it happened (aware).
        data: What happened: ids, outcome, and callee, and nothing that was said.
    """

    position: int
    event_id: str
    name: str
    at: datetime
    data: dict[str, Any]

    def is_wanted(self, name: str, call_id: str | None) -> bool:
        """Whether it is of this type and about this call (`call_id` or `tracking_id`) or list; None for any call."""
        ids = (self.data.get("tracking_id"), self.data.get("call_id"), self.data.get("list_id"))
        return self.name == name and (call_id is None or call_id in ids)


@dataclass(frozen=True)
class EventPage:
    """Events of an account, oldest first.

    Attributes:
        events: The events after a position.
        position: The position after them, from which to read on.
        is_complete: There were no more when they were read.
        has_gap: Events after the given position are missing, because they were deleted or are too old.
    """

    events: tuple[Event, ...]
    position: int
    is_complete: bool = True
    has_gap: bool = False


def event_id(record: CallRecord, about: str) -> str:
    """The id of an event of `record`: the same in every process and after a crash.

    Events of one call differ in what they are `about`: how it ended, or the list that stopped after it.
    """
    account = record.account
    named = f"{account.api} {account.account} {record.tracking_id} {record.idempotency_key} {about}"
    return f"evt_{uuid.uuid5(uuid.NAMESPACE_OID, named)}"


def data_of(record: CallRecord) -> dict[str, Any]:
    """The payload of the event that `record` has ended."""
    call, outcome = record.call, record.outcome
    return {
        "tracking_id": record.tracking_id,
        "call_id": record.call_id or (call.call_id if call is not None else None),
        "status": call.plain_status if call is not None else record.state.value,
        "outcome": outcome.value if outcome is not None else None,
        "code": record.error.code if record.error is not None else None,
        "callee": {
            "business_name": record.submission.business_name,
            "respondent_phone": record.submission.respondent_phone,
        },
    }


def occurrence(event: Event, cursor: str | None) -> dict[str, Any]:
    """An event as it is sent (the specification's EventOccurrence); without a cursor in the answer to a poll."""
    at = event.at.isoformat().replace("+00:00", "Z")
    sent = {"eventId": event.event_id, "name": event.name, "timestamp": at, "data": event.data}
    return sent | ({"cursor": cursor} if cursor is not None else {})
