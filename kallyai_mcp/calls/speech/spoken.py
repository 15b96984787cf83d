"""What the transcript of a call shows, as far as the ledger keeps it."""

from dataclasses import dataclass

from kallyai_mcp.api.models import Transcript
from kallyai_mcp.calls.speech.disclosure import Disclosure, disclosure_in
from kallyai_mcp.calls.speech.machine import SpokeWith, spoke_with
from kallyai_mcp.calls.speech.opt_out import opt_out_in
from kallyai_mcp.calls.speech.sentences import Words


@dataclass(frozen=True)
class Spoken:
    """What a transcript shows; `disclosure` and `spoke_with` are None if KallyAI has none.

    Attributes:
        disclosure: Whether KallyAI said that it is an AI.
        spoke_with: Who spoke in place of the callee.
        machine: The first words that show a machine, if only machines spoke.
        opt_out: The callee's first words that ask not to be called again.
    """

    disclosure: Disclosure | None = None
    spoke_with: SpokeWith | None = None
    machine: Words | None = None
    opt_out: Words | None = None

    @property
    def has_transcript(self) -> bool:
        """Whether a transcript was read."""
        return self.disclosure is not None


NOTHING_SPOKEN = Spoken()
"""KallyAI has no transcript."""


def spoken_in(transcript: Transcript) -> Spoken:
    """What a transcript shows; one without entries shows nothing."""
    if not transcript.entries:
        return NOTHING_SPOKEN
    line = spoke_with(transcript)
    return Spoken(disclosure_in(transcript), line.spoke_with, line.words, opt_out_in(transcript))
