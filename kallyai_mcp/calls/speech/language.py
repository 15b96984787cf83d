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
    latin = sum(map(_is_latin, letters))
    if latin * 2 < len(letters):
        return True
    ours = _words_of("spoken")
    others = _words_of("others").difference(ours).intersection(words)
    return len(others) >= max(_ENOUGH, sum(map(ours.__contains__, words)) + 1)


def _words_of(languages: str) -> frozenset[str]:
    return frozenset(shared_words("languages")[languages].split())


def _is_latin(letter: str) -> bool:
    return letter.isascii() or unicodedata.name(letter, "").startswith("LATIN")
