"""The facet of a call that says what KallyAI reports while it goes on.

The reference answers when a call has ended. A service may answer earlier, and then show in the
details of the call how far it is.
"""

from dataclasses import dataclass
from enum import StrEnum

from kallyai_mcp.api.models import Call, TranscriptEntry
from kallyai_mcp.tools.text.plain import clock, one_line

_SENTENCES = 2
"""How many of the last sentences are shown."""

_LONGEST = 300
"""Characters of one of them."""


class Line(StrEnum):
    """What happens on the line, where KallyAI says so."""

    RINGING = "ringing"
    TALKING = "talking"


@dataclass(frozen=True)
class Live:
    """What KallyAI reports of a call that goes on; `said`: the last sentences, oldest first."""

    line: Line | None = None
    said: tuple[TranscriptEntry, ...] = ()


NOT_LIVE = Live()
"""Nothing is reported before the call has ended."""


def live_of(call: Call | None) -> Live:
    """What KallyAI reports of a call, None: nothing."""
    if call is None or call.is_final:
        return NOT_LIVE
    if call.transcript:
        return Live(Line.TALKING, tuple(map(_shown, call.transcript[-_SENTENCES:])))
    if call.plain_status in Call.RINGING:
        return Live(Line.RINGING)
    return NOT_LIVE


def _shown(entry: TranscriptEntry) -> TranscriptEntry:
    """A sentence as it is shown: on one line, and not too long."""
    return TranscriptEntry(
        speaker="AI" if entry.is_kallyai else one_line(entry.speaker, 40),
        content=one_line(entry.content, _LONGEST),
        timestamp=clock(entry.timestamp) or None,
    )
