"""The callee's words that confirm a booking, and what was asked for and is not in them."""

from collections.abc import Iterable, Iterator
from itertools import dropwhile

from kallyai_mcp.api.models import Transcript, TranscriptEntry
from kallyai_mcp.calls.speech.hedging import is_hedged
from kallyai_mcp.calls.speech.phrases import phrases, shared_words
from kallyai_mcp.calls.speech.sentences import (
    Sentence,
    Words,
    excerpt,
    plain_words_of,
    says,
    sentences_of,
)

_STEM = 5
"""Words that begin with the same letters, this many, count as equal: "allergy", "allergies"."""

_SHORT = 3
"""Words of a wish that have no more letters say nothing about it."""


def confirmation_in(transcript: Transcript, report: str) -> Words | None:
    """The callee's sentence that confirms the booking; of several, the one that has most in common
    with KallyAI's report, and of equals the last. None if no words of theirs do that.

    Without a sentence that names what is booked, a "yes" to KallyAI's words counts.
    """
    confirming = [one for one in _answers_of_callee(transcript) if _confirms(one)]
    if not confirming:
        return _last_yes(transcript)
    reported = frozenset(plain_words_of(report))
    best = max(reversed(confirming), key=lambda one: _in_common(one, reported))
    return Words(excerpt(best.text, 0), best.at)


def unconfirmed_in(transcript: Transcript, asked: Iterable[str]) -> tuple[str, ...]:
    """Those of some wishes, or names, that the callee neither repeats nor says yes to."""
    said = [one.text for one in _answers_of_callee(transcript) if not _leaves_open(one)]
    texts = [_stems(plain_words_of(text)) for text in (*said, *_agreed_to(transcript))]
    return tuple(wish for wish in asked if not any(map(_telling(wish).issubset, texts)))


def _answers_of_callee(transcript: Transcript) -> Iterator[Sentence]:
    """The callee's sentences after KallyAI's first words; before them is a greeting."""
    for entry in dropwhile(lambda entry: not entry.is_kallyai, transcript.entries):
        if not entry.is_kallyai:
            yield from sentences_of(entry)


def _confirms(sentence: Sentence) -> bool:
    if sentence.is_question or phrases("refusal").find(sentence) is not None:
        return False
    return phrases("confirmation").find(sentence) is not None


def _in_common(sentence: Sentence, reported: frozenset[str]) -> int:
    return len(reported.intersection(plain_words_of(sentence.text)))


def _last_yes(transcript: Transcript) -> Words | None:
    """The callee's last words that say yes to what KallyAI has proposed or repeated."""
    found = None
    for _, reply in _exchanges(transcript):
        if says(reply, "affirmation") and not says(reply, "refusal"):
            found = Words(excerpt(reply.content.strip(), 0), reply.timestamp)
    return found


def _agreed_to(transcript: Transcript) -> Iterator[str]:
    """Each of KallyAI's turns that the callee has said yes to."""
    for turn, reply in _exchanges(transcript):
        is_yes = says(reply, "affirmation") and not says(reply, "refusal")
        if is_yes and not is_hedged((reply,)):
            yield turn.content


def _exchanges(transcript: Transcript) -> Iterator[tuple[TranscriptEntry, TranscriptEntry]]:
    """KallyAI's turns, each with the callee's next one. The first turn has everything that it
    wants, so that a "sure" after it only means that it was heard.
    """
    turns = list(zip(transcript.entries, transcript.entries[1:], strict=False))
    pairs = [(turn, reply) for turn, reply in turns if turn.is_kallyai and not reply.is_kallyai]
    yield from pairs[1:]


def _leaves_open(sentence: Sentence) -> bool:
    """Whether a sentence asks, refuses, or is not certain."""
    if sentence.is_question or phrases("refusal").find(sentence) is not None:
        return True
    return is_hedged((TranscriptEntry(content=sentence.text),))


def _telling(wish: str) -> frozenset[str]:
    """The words of a wish that say something about it."""
    words = plain_words_of(wish)
    general = shared_words("general")["words"].split()
    telling = [word for word in words if len(word) > _SHORT and word not in general]
    return _stems(telling or words)


def _stems(words: Iterable[str]) -> frozenset[str]:
    return frozenset(word[:_STEM] for word in words)
