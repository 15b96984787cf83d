"""Whether a report or a recording may say that something was agreed."""

from kallyai_mcp.api.models import Call, Transcript, TranscriptEntry
from kallyai_mcp.calls.speech.sentences import callee_turns, says

NOTHING_SAID = Transcript(entries=())
"""A transcript without a word: there is none, or it was not read."""


def may_be_agreed(call: Call, transcript: Transcript) -> bool:
    """Whether KallyAI's report of a call, or the callee's words in it, may say that something was
    agreed, as the recording of a booking line does.
    """
    report = [TranscriptEntry(content=text) for text in (call.highlights, call.next_steps) if text]
    return any(says(entry, "agreement") for entry in (*report, *callee_turns(transcript)))
