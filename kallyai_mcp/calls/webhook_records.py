"""A webhook's subscription, where it begins, and an event that is to be sent."""

from dataclasses import dataclass
from datetime import datetime

from kallyai_mcp.calls.events import Event
from kallyai_mcp.calls.records import AccountKey


@dataclass(frozen=True, repr=False)
class Subscription:
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

    def wants(self, event: Event) -> bool:
        """Whether an event is for this subscription."""
        return event.name == self.name and (self.call_id is None or event.concerns(self.call_id))


@dataclass(frozen=True)
class Start:
    """Where a subscription begins or goes on, see `EventPage` for the two attributes, and when it ends."""

    position: int
    has_gap: bool
    expires_at: datetime


@dataclass(frozen=True)
class Due:
    """An event to be sent now.

    Attributes:
        subscription: The subscription that it goes to.
        event: What.
        attempts: How often that was tried.
        cursor: Everything up to this position was taken or given up once this event is.
        taken_until: Until then no other worker sends it, in seconds since the epoch.
    """

    subscription: Subscription
    event: Event
    attempts: int
    cursor: int
    taken_until: float
