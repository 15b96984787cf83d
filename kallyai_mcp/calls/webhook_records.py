"""A webhook's subscription, where it begins, and a message that is to be sent."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kallyai_mcp.calls.records import AccountKey

GAP: Final = 0
"""The place in the outbox of the notice that events are gone; events have positions from 1 on."""

END: Final = -1
"""The place of the notice that the subscription was ended."""


@dataclass(frozen=True, repr=False)
class WebhookSubscription:
    """One subscription. All times are aware.

    Attributes:
        id: The same for the same account, URL, event type, and arguments.
        account: Whose events.
        url: Where they are sent.
        name: The event type.
        call_id: The one call to hear of; None for all.
        secret: Signs what is sent.
        old_secret: The one before, which signs too until `old_secret_until`.
        old_secret_until: See there.
        expires_at: When it ends, unless it is refreshed.
        sign_in: The sign-in of the client, which ends it when it is revoked; None where it is not known.
        position: The events up to it are in the outbox or were sent.
        last_delivery_at: When the receiver took an event last.
        last_error: Why the last delivery failed; None when it did not.
        failed_since: When deliveries began to fail.
        has_gap: Events are gone, and the receiver has not taken the notice of that.
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
    """Where a subscription begins or goes on.

    Attributes:
        position: Up to it, all was taken or given up.
        has_gap: Events after the position that was asked for are missing.
        expires_at: Until when it must be refreshed.
    """

    position: int
    has_gap: bool
    expires_at: datetime


@dataclass(frozen=True)
class DueMessage:
    """A message to be sent now.

    Attributes:
        subscription: The subscription that it goes to.
        position: The event's position, `GAP`, or `END`.
        message_id: The same however often it is sent.
        body: What is sent. Everything up to its cursor was taken or given up, once this message is.
        attempts: How often that was tried.
        taken_until: Until then no other worker sends it, in seconds since the epoch.
    """

    subscription: WebhookSubscription
    position: int
    message_id: str
    body: dict[str, Any]
    attempts: int
    taken_until: float

    @property
    def is_end(self) -> bool:
        """Whether it says that the subscription was ended."""
        return self.position == END
