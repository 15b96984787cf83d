"""Splits a task into its clauses, and has the patterns of words that may come before the task itself."""

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
"""Words that may come before the task itself ("Please call them and …"). It matches `folded` text, without accents."""

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
"""The end of a sentence; the period of an abbreviation does not end one."""

_NEXT_CLAUSE: Final = re.compile(
    r";\s+|(?:, (?:(?:and|but|so|y|pero|asi que) )?| (?:and|y) )(?=(?:(?:also|please|por favor|ademas),? )?"
    rf"(?:(?:can|could) you |puedes )?(?:ask|find out|check (?:if|whether)|inquire|(?:tell|let) me|{TELLS_PATTERN}"
    r"|have them|pregunt[ae]\w*|averigu[ae]\w*|consult[ae]\w*|pide(?:les|le)?|dime|avisame)\b)",
    re.IGNORECASE,
)
"""The words between a clause and another one that gives the assistant a task."""

_IF: Final = re.compile(r"(?:if|si)\b", re.IGNORECASE)


def folded(text: str) -> str:
    """Return `text` without the accents of Spanish, which an ending can move ("pregúntales"), at the same length."""
    return text.translate(_UNACCENTED)


def sentences(text: str) -> list[str]:
    """Return the sentences of a text on one line."""
    return [each for each in _SENTENCE_ENDS.split(text.strip()) if re.search(r"\w", each)]


def clauses(text: str) -> list[str]:
    """Return the clauses of a text: its sentences, and the parts of a sentence that are a task each."""
    return [part for sentence in sentences(text) for part in _clauses_of(sentence)]


def _clauses_of(sentence: str) -> Iterator[str]:
    begin = 0
    for gap in _NEXT_CLAUSE.finditer(folded(sentence)):
        if begin < gap.start() and not _IF.match(sentence[begin:]):  # "If not, ask for Sunday" is one
            yield sentence[begin : gap.start()]
            begin = gap.end()
    yield sentence[begin:]
