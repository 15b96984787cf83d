"""Finds out what a question is about: its parts, the topic of each part, and the thing whose price is asked for."""

import re
from math import prod
from typing import Final, Literal

from kallyai_mcp.sandbox.simulator.clauses import clauses
from kallyai_mcp.sandbox.simulator.wishes import THINGS

Topic = Literal["booking", "hours", "duration", "price", "ready", "stock", "place", "free", "when", "unsure", "yes"]
"""The topic of a question. `booking`: the user's own booking; `unsure`: none of these, but not a yes-or-no question."""


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
    ("price", _regex(
        r".*\b(?:prices?|costs?|how much|quote|bill|fees?|charges?|rates?"
        r"|precios?|cu[aá]nto|presupuesto|tarifas?|factura|cobra\w*)\b"
    )),
    ("ready", _regex(
        r".*\b(?:ready|orders?|repair is|list[oa]s?|pedidos?|ya \w+ (?:\w+ )?a? ?recoger"
        r"|(?:collect|pick).* (?:now|yet))\b"
    )),
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
    r"|dozens?|half|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|come|bill|fees?|charges?|rates?|pair"
    r"|docenas?|media|uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|once|doce|par|cobra\w*|cu[aá]ntos|cu[aá]ntas"
    r"|al|compra|con|costar|cu[aá]nto|cuestan?|de|del|el|encargar?|en|es|las?|los?|mi|para|pedir|pide|por|precios?"
    r"|pregunta|qu[eé]|quisiera|saber|se|si|son|su|tienen?|un[ao]?s?|valen?)"
)
"""Words of a question about a price that do not name the thing."""


def parts_of(question: str) -> list[str]:
    """Return the questions that a text asks; the text itself if it is one question, or none."""
    found = [part for clause in clauses(question) for part in _NEXT_PART.split(clause)]
    asked = [part for part in found if _ASKS.search(part) and not _NO_QUESTION.match(part)]
    return asked or [question]


def topic_of(question: str) -> Topic:
    """Return what one question is about."""
    return next((topic for topic, pattern in _TOPICS if pattern.match(question)), "yes")


def subject_of(text: str) -> str:
    """Return the things that a question or an order is about, in any wording the same; "" if it names none."""
    words = {word.removesuffix("s") for word in _WORDS.findall(text.lower()) if not _NO_SUBJECT.fullmatch(word)}
    return " ".join(sorted(words))


def is_service(text: str) -> bool:
    """Whether a question or an order is about work, a stay, or a class, which costs more than a thing in a shop."""
    return _SERVICE.search(text) is not None


_SERVICE: Final = _regex(
    r"\b(?:oil change|change of|repairs?|repairing|servic(?:e|es|ing)|cleaning|check-?up|treatment|massages?|haircuts?"
    r"|fillings?|lessons?|class(?:es)?|courses?|rooms?|suites?|nights?|tickets?|rentals?|hire|install\w*|moving"
    r"|cambio de|reparaci\w+|reparar|revisi[oó]n\w*|limpiezas?|tratamientos?|masajes?|cortes? de pelo|empastes?|clases?"
    r"|cursos?|habitaci\w+|noches?|entradas?|alquiler\w*|instala\w+|mudanzas?|servicios?)\b"
)


def quantity_in(text: str) -> int:
    """Return how many pieces a question or an order is about ("two dozen oysters"); 1 if it does not say so."""
    match = _QUANTITY.search(text)
    if match is None:
        return 1
    values = [int(word) if word.isdecimal() else _NUMBERS.get(word, 1) for word in match[0].lower().split()]
    return max(round(prod(values)), 1)


_NUMBERS: Final = {
    word: value
    for value, words in enumerate(
        ("", "a una", "two dos pair par", "three tres", "four cuatro", "five cinco", "six seis", "seven siete",
         "eight ocho", "nine nueve", "ten diez", "eleven once", "twelve doce dozen docena docenas")
    )
    for word in words.split()
} | {"half": 0.5, "media": 0.5}  # fmt: skip
"""Numbers in words."""

_NUMBER: Final = rf"(?:[1-9]\d?|{'|'.join(word for word in _NUMBERS if not word.startswith(('do', 'a', 'un')))}|dos)"
_QUANTITY: Final = _regex(
    rf"\b(?:{_NUMBER} (?:a )?)?(?:dozen|docenas?)\b|(?<!\bat )(?<!\blas )(?<!\broom )(?<![:/.-])"
    rf"\b{_NUMBER}(?= (?!(?:[ap]\.?m|o'clock|minutes?|hours?|days?|years?|people|on|at|in|and|to|of"
    r"|minutos?|horas?|d[ií]as?|años?|personas?|de|el|y|a|en)\b)[^\W\d_])"
)
"""A number before the thing that is counted; no time, no length of time, no number of people."""
