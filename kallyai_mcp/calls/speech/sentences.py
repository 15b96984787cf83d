"""The sentences of a transcript, each as it was said and in plain words that phrases can match."""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from kallyai_mcp.api.models import Transcript, TranscriptEntry
from kallyai_mcp.calls.speech.phrases import (
    BEGINNING,
    CLAUSE_END,
    SENTENCE_END,
    phrases,
    shared_words,
)

LONGEST_QUOTE = 200
"""The most characters of a quotation."""

_BEFORE_PHRASE = 60
"""The characters that a shortened quotation has before the phrase for which it is quoted."""

_HALF = r"(?<!\b[apAP])(?<!\b[apAP]\.[mM])(?<!\b[apAP]\. [mM])"
"""Not after "p", "p.m", or "p. m": the period belongs to the time."""

_BREAK = re.compile(
    rf"(?<![.]){_HALF}[.!?;]+(?=\s|$)|(?<=[mM])\.(?=\s+[^\W\d_a-z]|\s*$)|\n+"
    r"|(?<=\s)(?=[\u00bf\u00a1])"
)
"""The end of a sentence. Three periods are a pause, and end none; nor does "p.m.", unless a word
with a capital follows.
"""

_QUOTED = re.compile(r'"[^"]*"|\u201c[^\u201c\u201d]*\u201d|\u00ab[^\u00ab\u00bb]*\u00bb')

_TOKEN = re.compile(
    r"(?P<word>[^\W_]+(?:['\u2019\u00b4`][^\W_]+)*)|[,:;()\u2013\u2014\u2026]|\.\.+"
)
"""A word, or a mark that separates clauses."""

_NO_WORDS = (BEGINNING, CLAUSE_END)

_APOSTROPHES = str.maketrans("\u2019\u00b4`", "'''")


@dataclass(frozen=True)
class Words:
    """Words of a call, as they were said. `at` is as the transcript gives it: "00:00:12"."""

    quote: str
    at: str | None


class _Place(NamedTuple):
    """Where a plain word begins, and where the word begins that was said."""

    in_plain: int
    in_text: int


@dataclass(frozen=True)
class Sentence:
    """One sentence of a turn.

    Attributes:
        text: As it was said.
        plain: Its words without capitals, accents, and contractions, each after a space. "^" at
            the beginning, a comma, and the period at the end are words, too. What is quoted in it
            is left out.
        following: The next sentence of the turn as plain words; "" after the last one.
    """

    text: str
    at: str | None
    plain: str
    places: tuple[_Place, ...]
    following: str = ""

    @property
    def is_question(self) -> bool:
        """Whether it was written down as a question."""
        return self.text.endswith("?") or self.text.startswith("\u00bf")

    def words_around(self, start: int) -> Words:
        """The sentence, or what is around a place in `plain` if it is too long for a quotation."""
        place = self.places[_place_before(self.places, start)]
        return Words(excerpt(self.text, place.in_text), self.at)


def excerpt(text: str, place: int) -> str:
    """A text, or what is around a place in it if it is too long for a quotation."""
    if len(text) <= LONGEST_QUOTE:
        return text
    begins = text.rfind(" ", 0, max(0, place - _BEFORE_PHRASE)) + 1
    return text[begins : begins + LONGEST_QUOTE]


def _place_before(places: tuple[_Place, ...], start: int) -> int:
    return max(0, bisect_right(places, (start + 1, 0)) - 1)


def sentences_of(entry: TranscriptEntry) -> Sequence[Sentence]:
    """The sentences of a turn that have words, in their order."""
    return _sentences(entry.content, entry.timestamp)


# Each reader of a transcript asks for the same turns: without it, this is most of their time.
@lru_cache(maxsize=256)
def _sentences(text: str, at: str | None) -> tuple[Sentence, ...]:
    unquoted = _without_quotations(text)
    found = [_sentence(text, unquoted, start, end, at) for start, end in _spans(unquoted)]
    return tuple(_with_following([one for one in found if one.places]))


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Where each sentence begins and ends."""
    start = 0
    for found in _BREAK.finditer(text):
        yield start, found.end()
        start = found.end()
    yield start, len(text)


def _without_quotations(text: str) -> str:
    """`text` with spaces for what is quoted in it, which others have said.

    A text that is nothing but a quotation stays.
    """
    unquoted = _QUOTED.sub(lambda found: " " * len(found.group()), text)
    return unquoted if _TOKEN.search(unquoted) else text


def _sentence(text: str, unquoted: str, start: int, end: int, at: str | None) -> Sentence:
    said = text[start:end]
    begins = start + len(said) - len(said.lstrip())
    words = [BEGINNING]
    places: list[_Place] = []
    length = len(BEGINNING) + 1
    for token in _TOKEN.finditer(unquoted, begins, end):
        for word in _plain_words(token, is_after_mark=words[-1] in _NO_WORDS):
            places.append(_Place(length, token.start() - begins))
            words.append(word)
            length += len(word) + 1
    plain = "".join(f" {word}" for word in [*words, SENTENCE_END])
    return Sentence(said.strip(), at, plain, tuple(places))


def _with_following(sentences: list[Sentence]) -> list[Sentence]:
    """Sentences that know the next one."""
    following = [*(one.plain for one in sentences[1:]), ""]
    pairs = zip(sentences, following, strict=False)
    return [replace(one, following=after) for one, after in pairs]


def _plain_words(token: re.Match[str], *, is_after_mark: bool) -> list[str]:
    """The plain words for one that was said, or for a mark; none for a second mark."""
    if token["word"] is None:
        return [] if is_after_mark else [CLAUSE_END]
    return plain_words(token["word"])


def plain_words(word: str) -> list[str]:
    """The plain words for one that was said: "Don't" is "do not", and "Quítenos" is "quitenos"."""
    folded = _folded(word.translate(_APOSTROPHES))
    bare = folded.replace("'", "")
    whole = shared_words("contractions").get(bare)
    if whole is not None:
        return whole.split()
    stem, _, ending = folded.rpartition("'")
    meaning = shared_words("endings").get(ending)
    return [stem, meaning] if stem and meaning else [bare]


def plain_words_of(text: str) -> list[str]:
    """The plain words of a text, without its marks."""
    found = (token["word"] for token in _TOKEN.finditer(text) if token["word"])
    return [plain for word in found for plain in plain_words(word) if plain]


def _folded(text: str) -> str:
    """`text` in lower case and without accents."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def has_several_sentences(text: str) -> bool:
    """Whether a text has more than one sentence."""
    return len(sentences_of(TranscriptEntry(content=text))) > 1


def says(entry: TranscriptEntry, meaning: str) -> bool:
    """Whether a turn has a phrase of a meaning, which is the name of a table in `phrases.toml`."""
    return any(phrases(meaning).find(sentence) for sentence in sentences_of(entry))


def callee_turns(transcript: Transcript) -> list[TranscriptEntry]:
    """All turns of the callee, in their order."""
    return [entry for entry in transcript.entries if not entry.is_kallyai]


def callee_sentences(transcript: Transcript) -> Iterator[Sentence]:
    """All sentences of the callee, in their order."""
    for entry in callee_turns(transcript):
        yield from sentences_of(entry)
