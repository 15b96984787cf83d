"""What a callee remembers: the bookings that were agreed in calls to its number."""

from dataclasses import dataclass
from datetime import date, time


@dataclass(frozen=True)
class Agreement:
    """A booking.

    Attributes:
        call_id: The call in which it was agreed.
        name: The user's name; None if none was given.
        thing: What was booked, a `task_category`.
        party: The number of people.
        day: The day.
        at: The time; None for a whole day.
        is_canceled: A later call has canceled it.
    """

    call_id: str
    name: str | None
    thing: str
    party: int | None
    day: date
    at: time | None
    is_canceled: bool = False
