"""What a simulation takes and returns: bookings, appointments, and how a call ended."""

from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import NamedTuple

from kallyai_mcp.sandbox.simulator.dialogue import Entry
from kallyai_mcp.sandbox.simulator.submission import TaskCategory


class Slot(NamedTuple):
    """A day and a time; the time is None where only the day counts, as for a room."""

    day: date
    at: time | None


@dataclass(frozen=True)
class Booking:
    """A booking as the call `call_id` left it, made by the call `booking_id`; the callee remembers each one."""

    call_id: str
    booking_id: str
    name: str | None
    category: TaskCategory
    party: int | None
    slot: Slot
    is_canceled: bool = False

    def changed(self, call_id: str, *, slot: Slot, party: int | None, is_canceled: bool = False) -> "Booking":
        """Return the booking as another call leaves it."""
        return replace(self, call_id=call_id, slot=slot, party=party, is_canceled=is_canceled)


@dataclass(frozen=True)
class Event:
    """An agreed appointment: aware times in the user's zone, or whole days; the end is exclusive as in RFC 5545."""

    summary: str
    start: datetime | date
    end: datetime | date
    location: str | None
    description: str


@dataclass(frozen=True)
class Ending:
    """How a call ended, in the app language.

    Attributes:
        status: As in the reference's "CallResponse", or `terminated`.
        slot: What the calendar shows; None if nothing was booked.
        booking: What the callee remembers from now on; None if the call changed nothing.
    """

    status: str
    highlights: str
    next_steps: str
    slot: Slot | None = None
    booking: Booking | None = None


@dataclass(frozen=True)
class SimulatedCall:
    """A finished call; it lasts from its start if nobody answered, else from the answer. `entries`: the transcript."""

    status: str
    highlights: str
    next_steps: str
    event: Event | None
    booking: Booking | None
    duration_seconds: float
    entries: tuple[Entry, ...]
