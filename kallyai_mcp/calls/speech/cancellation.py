"""Whether the callee said that a booking is canceled, after KallyAI had asked for that."""

from itertools import dropwhile

from kallyai_mcp.api.models import Transcript, TranscriptEntry
from kallyai_mcp.calls.speech.phrases import phrases
from kallyai_mcp.calls.speech.sentences import Sentence, Words, says, sentences_of


def cancellation_in(transcript: Transcript) -> Words | None:
    """The callee's words that say that it is canceled; None if the last word on it is another one.

    A promise, a condition, or a question does not say it.
    """
    affirmed = None
    is_asked_now = False
    for entry in dropwhile(lambda entry: not _asks_to_cancel(entry), transcript.entries):
        if entry.is_kallyai:
            is_asked_now = _asks_to_cancel(entry)
            continue
        for sentence in sentences_of(entry):
            affirmed = _after(sentence, affirmed, is_asked_now=is_asked_now)
    return affirmed


def _after(sentence: Sentence, affirmed: Words | None, *, is_asked_now: bool) -> Words | None:
    """The words that affirm it, after one more sentence of the callee."""
    if phrases("not_canceled").find(sentence) is not None:
        return None
    if sentence.is_question:
        return affirmed
    found = phrases("cancellation").find(sentence)
    if found is None and is_asked_now:
        found = phrases("done").find(sentence)
    return affirmed if found is None else sentence.words_around(found.start)


def _asks_to_cancel(entry: TranscriptEntry) -> bool:
    """Whether KallyAI speaks of a cancellation in a turn."""
    return entry.is_kallyai and says(entry, "request_to_cancel")
