"""What comes of a call: its outcome, its words with their times, and the appointment that was made."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

Speaker = Literal["AI", "HUMAN"]


@dataclass(frozen=True)
class Entry:
    """One turn of the conversation.

    Attributes:
        speaker: `AI` for the assistant, `HUMAN` for who (or what) answered.
        content: What was said.
        at_seconds: When it began, in seconds after the line was picked up.
    """

    speaker: Speaker
    content: str
    at_seconds: float


@dataclass(frozen=True)
class Event:
    """An appointment that was agreed.

    `start` and `end` are aware datetimes in the caller's time zone, or plain dates for an event of whole days; `end` is
    exclusive, as in RFC 5545. `location` is the business, None when its name is not known.
    """

    summary: str
    start: datetime | date
    end: datetime | date
    location: str | None
    description: str


@dataclass(frozen=True)
class SimulatedCall:
    """A finished call.

    Attributes:
        status: As in the reference's "CallResponse", or `terminated`.
        highlights: What was accomplished, in the app language.
        next_steps: What the caller may do now, in the app language.
        duration_seconds: From the first ring where nobody answered, else from picking up to hanging up.
        entries: The transcript; empty when nothing was said or there is no transcript.
        event: The appointment, when one with a date was agreed.
    """

    status: str
    highlights: str
    next_steps: str
    duration_seconds: float
    entries: tuple[Entry, ...]
    event: Event | None


def timestamp(seconds: float) -> str:
    """`seconds` as "HH:MM:SS", rounded down, as in the reference's "Get Transcript"."""
    minutes, second = divmod(int(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}"


class Dialogue:
    """A conversation as it is spoken: each turn begins when the one before has been said."""

    WORDS_A_SECOND = 150 / 60
    PAUSE_SECONDS = 0.8
    PICKING_UP_SECONDS = 1.0

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._elapsed = 0.0

    def _say(self, speaker: Speaker, sentences: tuple[str, ...]) -> None:
        if not self._entries:
            self._elapsed += self.PICKING_UP_SECONDS
        content = " ".join(sentence for sentence in sentences if sentence)
        self._entries.append(Entry(speaker, content, round(self._elapsed, 1)))
        self._elapsed += len(content.split()) / self.WORDS_A_SECOND + self.PAUSE_SECONDS

    def ai(self, *sentences: str) -> None:
        """The assistant says `sentences`; empty ones are left out."""
        self._say("AI", sentences)

    def human(self, *sentences: str) -> None:
        """Who answered says `sentences`; empty ones are left out."""
        self._say("HUMAN", sentences)

    def hold(self, seconds: float) -> None:
        """Nobody speaks for `seconds`."""
        self._elapsed += seconds

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What has been said so far."""
        return tuple(self._entries)

    @property
    def duration_seconds(self) -> float:
        """How long it has lasted so far, to a tenth of a second."""
        return round(self._elapsed, 1)
