"""Whether KallyAI's assistant said that it is an AI."""

from dataclasses import dataclass

from kallyai_mcp.api.models import Transcript, TranscriptEntry
from kallyai_mcp.calls.speech.phrases import phrases
from kallyai_mcp.calls.speech.sentences import Words, says, sentences_of


@dataclass(frozen=True)
class Disclosure:
    """Whether a transcript has words of the assistant that say that it is an AI.

    If it has, `quote` is the first of them, and `at` is as the transcript gives it.
    """

    said: bool
    quote: str | None = None
    at: str | None = None


def disclosure_in(transcript: Transcript) -> Disclosure:
    """Whether the assistant said that it is an AI, by itself or when it was asked.

    A "virtual assistant" may be a person, so these words alone do not count.
    """
    before = TranscriptEntry(content="")
    for entry in transcript.entries:
        words = _disclosing_words(entry, before) if entry.is_kallyai else None
        if words is not None:
            return Disclosure(said=True, quote=words.quote, at=words.at)
        before = entry
    return Disclosure(said=False)


def _disclosing_words(entry: TranscriptEntry, before: TranscriptEntry) -> Words | None:
    """The words of a turn, after the one `before`, that say it; a question does not."""
    is_asked = not before.is_kallyai and says(before, "asks_for_ai")
    for sentence in sentences_of(entry):
        found = phrases("disclosure").find(sentence)
        if found is None and is_asked:
            found = phrases("yes").find(sentence)
        if found is not None and not sentence.is_question:
            return sentence.words_around(found.start)
    return None
