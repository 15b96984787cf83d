"""Events: what happened to an account's calls, in an order that clients can read on from (SEP-3415)."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kallyai_mcp.calls.records import CallRecord

ENDED = "call.ended"
"""The type of the event that a call has ended, will not be placed, or may have been placed with an unknown outcome."""

NEEDS_DECISION = "call.needs_decision"
"""The type of the event that a call list has stopped because its last call may have agreed to something."""

NOT_FOUND: Final = -32023
FORBIDDEN: Final = -32024
RESOURCE_EXHAUSTED: Final = -32025
UNSUPPORTED: Final = -32026
CALLBACK_ENDPOINT_ERROR: Final = -32027
"""The error codes of SEP-3415, "Error Handling"."""

ACCESS_REVOKED: Final = "Access revoked"
"""The SEP's reason for ending the subscription of a client that may not get events any more."""


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        position: Its number among the account's events, which are numbered from 1 without gaps.
        event_id: The id of the event, the same in every answer and every webhook message.
        name: The type, such as `call.ended`.
        at: When it happened (aware).
        data: The payload: ids, outcome, and callee, but nothing that was said in the call.
    """

    position: int
    event_id: str
    name: str
    at: datetime
    data: dict[str, Any]

    def is_wanted(self, name: str, call_id: str | None) -> bool:
        """Whether a client gets this event that asked for the type `name` and for `call_id`.

        `call_id` is the `call_id` or `tracking_id` of a call, or the `list_id` of a call list; None for any.
        """
        ids = (self.data.get("tracking_id"), self.data.get("call_id"), self.data.get("list_id"))
        return self.name == name and (call_id is None or call_id in ids)


@dataclass(frozen=True)
class EventPage:
    """Events of an account, oldest first.

    Attributes:
        events: The events after the given position.
        position: The position from which to read the next page.
        is_complete: Whether there were no more events when the page was read.
        has_gap: Whether events after the given position are missing, because they were deleted or are too old.
    """

    events: tuple[Event, ...]
    position: int
    is_complete: bool = True
    has_gap: bool = False


def event_id(record: CallRecord, about: str) -> str:
    """The id of an event of `record`: the same in every process and after a crash.

    `about` tells the events of one call apart: the state in which the call ended, or the id of a list that stopped.
    """
    account = record.account
    named = f"{account.api} {account.account} {record.tracking_id} {record.idempotency_key} {about}"
    return f"evt_{uuid.uuid5(uuid.NAMESPACE_OID, named)}"


def data_of(record: CallRecord) -> dict[str, Any]:
    """The payload of an event about `record`: its ids, status, outcome, error code, and callee."""
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
    """An event as JSON (the SEP's EventOccurrence). The `cursor` is None in the answer to a poll."""
    at = event.at.isoformat().replace("+00:00", "Z")
    sent = {"eventId": event.event_id, "name": event.name, "timestamp": at, "data": event.data}
    return sent | ({"cursor": cursor} if cursor is not None else {})
