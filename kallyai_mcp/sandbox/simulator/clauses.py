"""Splits a task into its clauses, and knows how one may begin before it says what to do."""

import re
from collections.abc import Iterator
from typing import Final

POLITE: Final = (
    r"^\W*(?:(?:please|por favor|and|also|y|ademas|(?:can|could) you|(?:puedes|podrias)"
    r"|call (?:them |the \w+ )?(?:and|to)|llam[ae]\w* (?:al? (?:la )?\w+ )?(?:y|para)"
    r"|the (?:user|customer|client) (?:wants|needs|would like) to"
    r"|(?:see|check|find out|ask)(?: them)? (?:if|whether) (?:they|you) (?:can|could)"
    r"|i(?:'d like| would like| need| want| have) (?:you )?to|ask (?:them )?to|need to"
    r"|(?:necesito|quiero|quisiera|me gustaria)(?: que(?: me| nos)?)?)\W+)*"
)
"""How a task may begin before it says what to do. Like all that is matched with `folded` text, without accents."""

TELLS_PATTERN: Final = (
    r"(?:(?:tell|inform)(?: (?:them|him|her|the \w+))?(?: that| about)?|let (?:them|him|her|the \w+) know(?: that)?"
    r"|(?:di(?:le|les)?|avis[ae](?:le|les)?|inform[ae](?:le|les)?)\b(?: de)?(?: que)?)\b"
)
TELLS: Final = re.compile(POLITE + TELLS_PATTERN, re.IGNORECASE)
"""How a task begins if it only tells the callee something."""

_UNACCENTED: Final = str.maketrans("áéíóúüÁÉÍÓÚÜ\u2019", "aeiouuAEIOUU'")
_SENTENCE_ENDS: Final = re.compile(
    r"(?<=[.!?])(?<!\bDr\.)(?<!\bDra\.)(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bSr\.)(?<!\bSra\.)(?<!\bSt\.)"
    r"(?<!\b[A-Z]\.)(?<!\bm\.)\s+"
)
"""Where a sentence ends; no abbreviation does."""

_NEXT_CLAUSE: Final = re.compile(
    r";\s+|(?:, (?:(?:and|but|so|y|pero|asi que) )?| (?:and|y) )(?=(?:(?:also|please|por favor|ademas),? )?"
    rf"(?:(?:can|could) you |puedes )?(?:ask|find out|check (?:if|whether)|inquire|(?:tell|let) me|{TELLS_PATTERN}"
    r"|have them|pregunt[ae]\w*|averigu[ae]\w*|consult[ae]\w*|pide(?:les|le)?|dime|avisame)\b)",
    re.IGNORECASE,
)
"""What stands between a clause and one that is said to the assistant."""

_IF: Final = re.compile(r"(?:if|si)\b", re.IGNORECASE)


def folded(text: str) -> str:
    """Return a text of the same length without the accents of Spanish, which an ending can move ("pregúntales")."""
    return text.translate(_UNACCENTED)


def sentences(text: str) -> list[str]:
    """Return the sentences of a text on one line."""
    return [each for each in _SENTENCE_ENDS.split(text.strip()) if re.search(r"\w", each)]


def clauses(text: str) -> list[str]:
    """Return the parts of a text that each are a task, or tell something: its sentences, and what they join."""
    return [part for sentence in sentences(text) for part in _clauses_of(sentence)]


def _clauses_of(sentence: str) -> Iterator[str]:
    begin = 0
    for gap in _NEXT_CLAUSE.finditer(folded(sentence)):
        if begin < gap.start() and not _IF.match(sentence[begin:]):  # "If not, ask for Sunday" is one
            yield sentence[begin : gap.start()]
            begin = gap.end()
    yield sentence[begin:]
