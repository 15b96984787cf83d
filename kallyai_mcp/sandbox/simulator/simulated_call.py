"""The result of a simulation: the call's outcome, its transcript, and the appointment that was agreed."""

from dataclasses import dataclass
from datetime import date, datetime

from kallyai_mcp.sandbox.simulator.agreement import Agreement
from kallyai_mcp.sandbox.simulator.dialogue import Entry


@dataclass(frozen=True)
class Event:
    """An agreed appointment.

    Attributes:
        start: An aware datetime in the user's time zone, or a date for an event of whole days.
        end: Like `start`, and exclusive as in RFC 5545.
        location: The business; None if its name is not known.
    """

    summary: str
    start: datetime | date
    end: datetime | date
    location: str | None
    description: str


@dataclass(frozen=True)
class Ending:
    """How a call ended.

    Attributes:
        status: As in the reference's "CallResponse", or `terminated`.
        highlights: What was accomplished, in the app language.
        next_steps: What the user can do now, in the app language.
        event: The appointment; None if none with a date was agreed.
        agreement: The booking that the callee remembers from now on; None if none was made.
        ends: The earlier booking that this call canceled or changed; None if there was none.
    """

    status: str
    highlights: str
    next_steps: str
    event: Event | None = None
    agreement: Agreement | None = None
    ends: Agreement | None = None


@dataclass(frozen=True, kw_only=True)
class SimulatedCall(Ending):
    """A finished call.

    Attributes:
        duration_seconds: From the call's start if nobody answered, else from the answer to the end.
        entries: The transcript; empty if nothing was said or there is no transcript.
    """

    duration_seconds: float
    entries: tuple[Entry, ...]
