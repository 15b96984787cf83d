"""What a question asks about: its parts, the topic of each, and the thing that a price is for."""

import re
from typing import Final, Literal

from kallyai_mcp.sandbox.simulator.rephrasing import sentences

Topic = Literal["booking", "hours", "duration", "price", "ready", "stock", "place", "free", "when", "unsure", "yes"]
"""`booking` is the user's own; `unsure` is asked for in a way that yes or no does not answer."""

THINGS: Final = r"(?:tables?|rooms?|appointments?|reservations?|mesas?|habitaci[oó]n\w*|citas?|reservas?)"
"""What can be booked."""


def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_WHICH: Final = r"(?:who|what|which|where|when|why|how|a qué|qué|quién\w*|cuál\w*|cómo|cuánd[oa]|cuánt\w*|dónde)\b"
_ASKS: Final = _regex(
    rf"[?¿]|\b(?:ask|check|find out|confirm|inquire|enquire|whether|if|si|pregunt\w+|consult\w+|averigu\w+|{_WHICH})"
)
_NO_QUESTION: Final = _regex(r"(?:if not|otherwise|si no)\b")
_NEXT_PART: Final = _regex(
    rf",? (?:and|y) (?=(?:also )?(?:whether|if|si|ask|do|does|is|are|can|could|will|{_WHICH})\b)"
)
_OWN: Final = _regex(
    rf"(?=.*\b(?:my|our|mi|nuestra) (?:\w+ ){{0,2}}{THINGS}\b)"
    r".*\b(?:confirm\w*|still|stands?|booked|what time|which day|when|exists?|sigue|a qué hora|cuándo|qué día)\b"
)
_TOPICS: Final[tuple[tuple[Topic, re.Pattern[str]], ...]] = (
    ("booking", _OWN),
    ("hours", _regex(r".*\b(?:opening|open|hours|close[sd]?|closing|horarios?|abr\w+|cierr\w+)\b")),
    ("duration", _regex(r".*\b(?:how long|cu[aá]nto (?:tiempo|tarda\w*|dura\w*))\b")),
    ("price", _regex(r".*\b(?:prices?|costs?|how much|quote|precios?|cu[aá]nto|presupuesto|tarifas?)\b")),
    ("ready", _regex(r".*\b(?:ready|orders?|pick\s?(?:\w+ )?up|collect|repair is|list[oa]s?|pedidos?|recoger)\b")),
    ("place", _regex(
        r".*\b(?:park|parking|(?<!mail )address|where|directions|aparca\w*|direcci[oó]n|d[oó]nde)\b"
    )),
    ("free", _regex(rf".*\b(?:{THINGS}|availability)\b")),
    ("stock", _regex(
        r".*\b(?:stock|available|(?:have|got)\b.*\bleft|quedan?|disponibles?|existencias)\b"
    )),
    ("yes", _regex(r".*\b(?:whether|if|si)\b")),
    ("when", _regex(r".*\b(?:when|what time|a qué hora|cuándo)\b")),
    ("unsure", _regex(
        rf".*\b{_WHICH}|\W*(?:please )?(?:ask|inquire|enquire|find out|pregunt\w+) (?:them )?(?:for|about|por|sobre)\b"
    )),
)  # fmt: skip

_WORDS: Final = re.compile(r"[^\W\d_]{2,}")
_NO_SUBJECT: Final = re.compile(
    r"(?:about|an?|and|are|ask|buy|can|check|costs?|could|do|does|find|for|from|get|how|if|in|is|its?|like|me|much|my|of"
    r"|on|ones?|or|orders?|our|out|please|pre|prices?|quotes?|take|the|them|there|they|this|to|want|whether|what|with"
    r"|would|you"
    r"|al|compra|con|costar|cu[aá]nto|cuestan?|de|del|el|encargar?|en|es|las?|los?|mi|para|pedir|pide|por|precios?"
    r"|pregunta|qu[eé]|quisiera|saber|se|si|son|su|tienen?|un[ao]?s?|valen?)"
)
"""Words that do not say what a price is for."""


def parts_of(question: str) -> list[str]:
    """Return the questions that a text asks; the text itself if it is one question, or none."""
    found = [part for sentence in sentences(question) for part in _NEXT_PART.split(sentence)]
    asked = [part for part in found if _ASKS.search(part) and not _NO_QUESTION.match(part)]
    return asked or [question]


def topic_of(question: str) -> Topic:
    """Return what one question is about."""
    return next((topic for topic, pattern in _TOPICS if pattern.match(question)), "yes")


def subject_of(text: str) -> str:
    """Return the things that a question or an order is about, however it is put; empty if it names none."""
    words = {word.removesuffix("s") for word in _WORDS.findall(text.lower()) if not _NO_SUBJECT.fullmatch(word)}
    return " ".join(sorted(words))
