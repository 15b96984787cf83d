"""The callee's words that confirm a booking, and what was asked for and is not in them."""

from collections.abc import Iterable, Iterator
from itertools import dropwhile, filterfalse, islice
from typing import NamedTuple

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
from kallyai_mcp.calls.speech.times_of_day import names_moment

_STEM = 5
"""Words that begin with the same letters, this many, count as equal: "allergy", "allergies"."""

_SHORT = 3
"""Words of a wish that have no more letters say nothing about it."""


def confirmation_in(transcript: Transcript, report: str) -> Words | None:
    """The callee's sentence that confirms the booking; of several, the one that has most in common
    with KallyAI's report, and of equals the last. None if no words of theirs do that.

    Without a sentence that names what is booked, a "yes" to KallyAI's words counts.
    """
    confirming = list(filter(_confirms, _answers_of_callee(transcript)))
    if not confirming:
        return _last_yes(transcript)
    reported = frozenset(plain_words_of(report))
    best = max(reversed(confirming), key=lambda one: _in_common(one, reported))
    return Words(excerpt(best.text, 0), best.at)


def unconfirmed_in(transcript: Transcript, asked: Iterable[str]) -> tuple[str, ...]:
    """Those of some wishes, or names, that the callee neither repeats nor says yes to."""
    texts = (*_certain_sentences(transcript), *_agreed_to(transcript))
    said = list(map(_stems, map(plain_words_of, texts)))
    return tuple(filterfalse(lambda wish: _is_said(wish, said), asked))


def left_open_in(transcript: Transcript, wish: str) -> Words | None:
    """The callee's last sentence about a wish that they did not grant: it refuses the wish, or
    leaves it open. None without one.
    """
    answered = _refusals_of(transcript, wish)
    named = (one for one in _answers_of_callee(transcript) if _is_about(wish, one))
    found = [one for one in (*answered, *named) if not one.is_question]
    if not found:
        return None
    last = found[-1]
    return Words(excerpt(last.text, 0), last.at)


def _refusals_of(transcript: Transcript, wish: str) -> Iterator[Sentence]:
    """The callee's sentences that refuse what KallyAI had just asked for: the wish, and no time,
    which may be what is refused.
    """
    for turn, reply in islice(_exchanges(transcript), 1, None):
        if _names(wish, turn.content) and not names_moment(turn.content):
            yield from filter(phrases("refusal").find, sentences_of(reply))


def _is_about(wish: str, said: Sentence) -> bool:
    """Whether a sentence names a wish, or refuses a part of it, and no time with it."""
    return _names(wish, said.text) or (_refuses_no_time(said) and _names_part(wish, said.text))


def _refuses_no_time(said: Sentence) -> bool:
    return phrases("refusal").find(said) is not None and not names_moment(said.text)


def _names_part(wish: str, text: str) -> bool:
    """Whether a text has a word that tells a wish: "The window is not possible"."""
    return not _telling(wish).isdisjoint(_stems(plain_words_of(text)))


def _names(wish: str, text: str) -> bool:
    """Whether a text has all words that tell a wish."""
    return _telling(wish).issubset(_stems(plain_words_of(text)))


def _is_said(wish: str, said: Iterable[frozenset[str]]) -> bool:
    """Whether one of some texts has all words that tell a wish."""
    return any(map(_telling(wish).issubset, said))


def _answers_of_callee(transcript: Transcript) -> Iterator[Sentence]:
    """The callee's sentences after KallyAI's first words; before them is a greeting."""
    for entry in dropwhile(lambda entry: not entry.is_kallyai, transcript.entries):
        if not entry.is_kallyai:
            yield from sentences_of(entry)


def _certain_sentences(transcript: Transcript) -> Iterator[str]:
    """The callee's sentences that neither ask nor refuse nor leave something open."""
    for sentence in filterfalse(_asks_or_refuses, _answers_of_callee(transcript)):
        if not is_hedged((TranscriptEntry(content=sentence.text),)):
            yield sentence.text


def _confirms(sentence: Sentence) -> bool:
    if _asks_or_refuses(sentence):
        return False
    return phrases("confirmation").find(sentence) is not None


def _asks_or_refuses(sentence: Sentence) -> bool:
    return sentence.is_question or phrases("refusal").find(sentence) is not None


def _in_common(sentence: Sentence, reported: frozenset[str]) -> int:
    return len(reported.intersection(plain_words_of(sentence.text)))


def _last_yes(transcript: Transcript) -> Words | None:
    """The callee's last words that say yes to a day or a time that KallyAI has named."""
    found = None
    for exchange in filter(_is_yes, _exchanges(transcript)):
        reply = exchange.reply
        if names_moment(exchange.turn.content):
            found = Words(excerpt(reply.content.strip(), 0), reply.timestamp)
    return found


def _agreed_to(transcript: Transcript) -> Iterator[str]:
    """Each of KallyAI's turns that the callee has said yes to, and is certain of it. The first one
    has everything that it wants, so that a "sure" after it only means that it was heard.
    """
    for exchange in filter(_is_yes, islice(_exchanges(transcript), 1, None)):
        if not is_hedged((exchange.reply,)):
            yield exchange.turn.content


class _Exchange(NamedTuple):
    """A turn of KallyAI, and the callee's next one."""

    turn: TranscriptEntry
    reply: TranscriptEntry


def _is_yes(exchange: _Exchange) -> bool:
    if says(exchange.reply, "refusal"):
        return False
    return says(exchange.reply, "affirmation")


def _exchanges(transcript: Transcript) -> Iterator[_Exchange]:
    """What KallyAI said, and what the callee said then."""
    pairs = map(_Exchange, transcript.entries, transcript.entries[1:])
    return filter(_is_answered, pairs)


def _is_answered(pair: _Exchange) -> bool:
    return pair.turn.is_kallyai and not pair.reply.is_kallyai


def _telling(wish: str) -> frozenset[str]:
    """The words of a wish that say something about it; all words, if none does."""
    general = shared_words("general")["words"].split()
    words = plain_words_of(wish)
    telling = [word for word in words if len(word) > _SHORT]
    return _stems(set(telling).difference(general) or words)


def _stems(words: Iterable[str]) -> frozenset[str]:
    return frozenset(word[:_STEM] for word in words)
