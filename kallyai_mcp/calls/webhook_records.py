"""What the ledger stores about webhooks: subscriptions, and the messages that are to be sent."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kallyai_mcp.calls.records import AccountKey

GAP: Final = 0
"""The position in the outbox of the notice that events are missing. Events have positions from 1 on."""

END: Final = -1
"""The position in the outbox of the notice that the subscription was ended."""


@dataclass(frozen=True, repr=False)
class WebhookSubscription:
    """A subscription of a URL to the events of an account. All times are aware.

    Attributes:
        id: The id, which is the same for the same account, URL, event type, and call.
        account: The account.
        url: The URL of the receiver.
        name: The event type.
        call_id: The call or list that the events are about (see `Event.is_wanted`); None for all.
        secret: Signs the messages.
        old_secret: The secret before, which also signs until `old_secret_until`; None if there is none.
        old_secret_until: See `old_secret`.
        expires_at: When it ends, unless it is refreshed.
        sign_in: The sign-in of the client, whose revocation ends the subscription; None when it is not known.
        position: The events up to this position are in the outbox or were sent.
        last_delivery_at: When the receiver last accepted a message.
        last_error: Why the last delivery failed; None when it succeeded.
        failed_since: When the first of the failed deliveries since the last success was; None without failures.
        has_gap: Whether events are missing, and the receiver has not accepted the notice of that.
    """

    id: str
    account: AccountKey
    url: str
    name: str
    call_id: str | None
    secret: str
    expires_at: datetime
    sign_in: str | None = None
    position: int = 0
    old_secret: str | None = None
    old_secret_until: datetime | None = None
    last_delivery_at: datetime | None = None
    last_error: str | None = None
    failed_since: datetime | None = None
    has_gap: bool = False


@dataclass(frozen=True)
class SubscriptionStart:
    """Where a new subscription begins, or where a refreshed one goes on.

    Attributes:
        position: The events up to this position were accepted or given up.
        has_gap: Whether events after the requested position are missing.
        expires_at: When the subscription ends, unless it is refreshed (aware).
    """

    position: int
    has_gap: bool
    expires_at: datetime


@dataclass(frozen=True)
class DueMessage:
    """A message to be sent now.

    Attributes:
        subscription: The subscription of its receiver.
        position: The event's position, `GAP`, or `END`.
        message_id: The id of the message, which is the same each time it is sent.
        body: The JSON to send. With this message, all events up to its cursor are accepted or given up.
        attempts: How often it was sent before.
        taken_until: When another worker may send it, in seconds since the epoch.
    """

    subscription: WebhookSubscription
    position: int
    message_id: str
    body: dict[str, Any]
    attempts: int
    taken_until: float

    @property
    def is_end(self) -> bool:
        """Whether it is the notice that the subscription was ended."""
        return self.position == END
