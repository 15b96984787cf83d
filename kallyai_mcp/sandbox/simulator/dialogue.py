"""A conversation as a sequence of timed turns."""

from dataclasses import dataclass
from typing import Literal

Speaker = Literal["AI", "HUMAN"]

_WORDS_PER_SECOND = 150 / 60
_PAUSE_SECONDS = 0.8
_ANSWER_SECONDS = 1.0


@dataclass(frozen=True)
class Entry:
    """One turn: of the assistant or the callee, which may be a machine, and when it began after the answer."""

    speaker: Speaker
    content: str
    at_seconds: float


def timestamp(seconds: float) -> str:
    """Return `seconds` as "HH:MM:SS", rounded down, as in the reference's "Get Transcript"."""
    minutes, second = divmod(int(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}"


class Dialogue:
    """A conversation in progress: each turn begins after the turn before has been spoken."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._elapsed = 0.0

    def say(self, speaker: Speaker, *sentences: str) -> None:
        """Add a turn; empty sentences are left out."""
        if not self._entries:
            self._elapsed += _ANSWER_SECONDS
        content = " ".join(sentence for sentence in sentences if sentence)
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
