"""Whether a text for the callee is in neither of the languages in which KallyAI speaks."""

import re
import unicodedata

from kallyai_mcp.calls.speech.phrases import shared_words

_WORD = re.compile(r"[^\W\d_]+")

_ENOUGH = 3
"""So many words of another language, and more than of ours, show that a text is in it."""


def is_in_another_language(text: str) -> bool:
    """Whether a text is certainly neither English nor Spanish; a name alone is not."""
    words = _WORD.findall(text.casefold())
    letters = "".join(words)
    foreign = sum(not _is_latin(letter) for letter in letters)
    if foreign * 2 > len(letters):
        return True
    spoken = _words_of("spoken")
    ours = sum(word in spoken for word in words)
    others = len({word for word in words if word in _words_of("others") - spoken})
    return others >= _ENOUGH and others > ours


def _words_of(languages: str) -> frozenset[str]:
    return frozenset(shared_words("languages")[languages].split())


def _is_latin(letter: str) -> bool:
    return letter.isascii() or unicodedata.name(letter, "").startswith("LATIN")
