"""What a simulation takes and returns: what was said, bookings, appointments, and how a call
ended.
"""

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Literal, NamedTuple

from pydantic import BaseModel

from kallyai_mcp.sandbox.simulator.submission import TaskCategory

Speaker = Literal["AI", "HUMAN"]

_WORDS_PER_SECOND = 150 / 60
_PAUSE_SECONDS = 0.8
_ANSWER_SECONDS = 1.0


@dataclass(frozen=True)
class Entry:
    """One turn: of the assistant or the callee, which may be a machine, and when it began after the
    answer.
    """

    speaker: Speaker
    content: str
    at_seconds: float


def timestamp(seconds: float) -> str:
    """Return `seconds` as "HH:MM:SS", rounded down, as in the reference's "Get Transcript"."""
    minutes, second = divmod(int(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}"


def seconds_of(stamp: str) -> int:
    """The seconds of a timestamp ("HH:MM:SS")."""
    hours, minutes, seconds = map(int, stamp.split(":"))
    return hours * 3600 + minutes * 60 + seconds


class Dialogue:
    """A conversation in progress: each turn begins after the turn before has been spoken."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._elapsed = 0.0

    def say(self, speaker: Speaker, *sentences: str) -> None:
        """Add a turn; empty sentences are left out."""
        if not self._entries:
            self._elapsed += _ANSWER_SECONDS
        content = " ".join(filter(None, sentences))
        self._entries.append(Entry(speaker, content, round(self._elapsed, 1)))
        self._elapsed += len(content.split()) / _WORDS_PER_SECOND + _PAUSE_SECONDS

    def hold(self, seconds: float) -> None:
        """Let `seconds` pass without speech."""
        self._elapsed += seconds

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The turns so far."""
        return tuple(self._entries)

    @property
    def duration_seconds(self) -> float:
        """The length of the conversation so far, to a tenth of a second."""
        return round(self._elapsed, 1)


class Slot(NamedTuple):
    """A day and a time; the time is None where only the day counts, as for a room."""

    day: date
    at: time | None

    def changed_to(self, day: date | None, at: time | None) -> "Slot":
        """This slot with another day or time; None keeps the one that it has."""
        return Slot(day or self.day, at or self.at)


@dataclass(frozen=True)
class Booking:
    """A booking as the call `call_id` left it, made by the call `booking_id`; the callee remembers
    each one.
    """

    call_id: str
    booking_id: str
    name: str | None
    category: TaskCategory
    party: int | None
    slot: Slot
    departs: date | None = None
    is_canceled: bool = False

    def departure_from(self, arrival: date) -> date | None:
        """When its guests leave if they arrive on another day, after as many nights; None without a
        departure.
        """
        if self.departs is None:
            return None
        return arrival + (self.departs - self.slot.day)


@dataclass(frozen=True)
class Event:
    """An agreed appointment: aware times in the user's zone, or whole days; the end is exclusive as
    in RFC 5545.
    """

    summary: str
    start: datetime | date
    end: datetime | date
    location: str | None
    description: str


@dataclass(frozen=True)
class Ending:
    """How a call ended, in the app language: what the calendar shows, and what the callee remembers
    from now on.
    """

    status: str
    highlights: str
    next_steps: str
    slot: Slot | None = None
    booking: Booking | None = None


class Report(BaseModel):
    """What the service reports of a call, and answers as it is; null until the call has ended."""

    highlights: str | None = None
    next_steps: str | None = None
    duration_seconds: float | None = None


@dataclass(frozen=True)
class SimulatedCall:
    """A finished call; it lasts from its start if nobody answered, else from the answer.

    `entries`: the transcript.
    """

    status: str
    report: Report
    event: Event | None
    booking: Booking | None
    seconds: float
    entries: tuple[Entry, ...]
