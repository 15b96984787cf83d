"""Reads the description of a booking: what is booked, and what is wanted in addition to the fields."""

import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from kallyai_mcp.sandbox.simulator.clauses import POLITE, clauses, folded, sentences
from kallyai_mcp.sandbox.simulator.rephrasing import is_in, is_statement, lower, rephrase, to_the_callee
from kallyai_mcp.sandbox.simulator.times_in_text import DAY

THINGS: Final = (
    r"(?:tables?|rooms?|appointments?|reservations?|bookings?|visits?|mesas?|habitaci[oó]n\w*|citas?|reservas?)"
)
"""Words for things that can be booked."""

_BOOKING: Final = {
    "en": re.compile(
        POLITE + r"(?:(?:book|reserve|schedule)\b(?! (?:number|that)\b)"
        rf"|(?:get|make|arrange|ask for|find|set up)\b(?= (?:[\w-]+ ){{0,4}}{THINGS}\b))"
        rf"(?: (?:me|us|them))?(?: (?:an? |the )?(?P<thing>(?:(?!(?:for|at|on)\b)[\w-]+ ){{0,2}}{THINGS})\b)?",
        re.IGNORECASE,
    ),
    "es": re.compile(
        POLITE + r"(?:(?:reserv|agend)\w+"
        rf"|(?:haz|hacer|pid[ea]|pedir|consig[au]|consegu|busca|da)\w*(?= (?:\w+ ){{0,2}}{THINGS}\b))"
        rf"(?: (?:una? |la )?(?P<thing>{THINGS})\b)?",
        re.IGNORECASE,
    ),
}

_SAID: Final = {
    "party": re.compile(
        r"\b(?:for|para) (?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|una?|dos|tres|cuatro|cinco|seis|siete"
        r"|ocho|nueve|diez)(?: (?:people|persons?|guests?|adults|personas?|adultos))?\b(?! (?:nights?|noches?|hours?))",
        re.IGNORECASE,
    ),
    "when": re.compile(
        rf"\b(?:(?:on|for|from|this|next|el|para el|desde el|este|para) )?{DAY}"
        r"(?: (?:morning|afternoon|evening|night|por la (?:mañana|tarde|noche)))?"
        r"|\b(?:at|a las?) \d{1,2}(?:[:.]\d\d)?(?: ?[ap]\.?m\b\.?)?",
        re.IGNORECASE,
    ),
    "user": re.compile(r" (?:for (?:me|us)|para (?:m[ií]|nosotr[oa]s))\b", re.IGNORECASE),
    "wished": re.compile(
        r"^\W*(?:preferably|if possible|ideally|a ser posible|si es posible|preferiblemente|si puede ser),? ",
        re.IGNORECASE,
    ),
}
"""Parts of a booking's description that the assistant says in any case, from the fields."""


class Wish(NamedTuple):
    """What a booking's description wants in addition to the fields.

    Attributes:
        words: The words about the thing that is booked, such as "by the window"; "" if there are none.
        kind: The kind of these words: `for` (what the booking is for), `how` (how the thing should be), `that` (a
            sentence of its own), or `what` (the thing itself).
        besides: Other sentences for the callee; "" if there are none.
    """

    words: str
    kind: Literal["for", "how", "that", "what"]
    besides: str


def is_booking(clause: str) -> bool:
    """Whether a clause tells the assistant to book something."""
    return any(pattern.match(folded(clause)) for pattern in _BOOKING.values())


def wish_of(description: str, language: str, *, said: Sequence[str], knows_party: bool, knows_day: bool) -> Wish | None:
    """Return what a booking's description wants in addition to the fields; None if it can't be put into other words.

    Args:
        description: The `task_description`, on one line.
        language: The language of the call.
        said: Texts that the assistant says in any case: the name of the business, the `time_preference_text`.
        knows_party: The submission has the number of people.
        knows_day: The submission has the day.
    """
    parts = clauses(description)
    words = next((each for each in parts if _BOOKING[language].match(folded(each))), None)
    if words is None and (is_booking(description) or not is_in(language, description)):
        return None
    besides = [rephrase(each, language) for each in parts if each != words] if words else []
    if None in besides:
        return None
    words, thing = words or description, ""
    if match := _BOOKING[language].match(folded(words)):
        noun = words[slice(*match.span("thing"))].lower() if match["thing"] else ""
        words = words[match.end() :]
        if language == "en" and " " in noun:
            thing = f"{'an' if noun[0] in 'aeiou' else 'a'} {noun} "
        elif language == "es" and noun and _ADJECTIVE_ES.match(words):
            thing = f"una {noun} "
    if knows_party:
        words = _SAID["party"].sub("", words)
    if knows_day:
        words = _SAID["when"].sub("", words)
    for each in said:
        words = re.sub(rf"(?:\b(?:at|in|en) (?:the |el |la )?)?{re.escape(each)}", "", words, flags=re.IGNORECASE)
    words = _SAID["user"].sub("", words)
    words = _SAID["wished"].sub("", re.sub(r"\s+(?=[\s,;.]|$)", "", words)).strip(" .!,;")
    words = ", ".join(lower(to_the_callee(each.strip(" .!,;"), language)) for each in sentences(words))
    words = f"{thing}{words}".strip() if re.search(r"\w", thing + words) else ""
    return Wish(words, _kind(words, language), " ".join(each for each in besides if each))


def _kind(words: str, language: str) -> Literal["for", "how", "that", "what"]:
    if words.startswith(("for ", "para ")):
        return "for"
    if _PREPOSITIONS[language].match(words):
        return "how"
    return "that" if is_statement(words, language) and not _ARTICLE.match(words) else "what"


_PREPOSITIONS: Final = {
    "en": re.compile(
        r"(?:as|at|away|by|close|from|if|in|inside|near|next|not|on|outside|preferably|quiet|with|without)\b",
        re.IGNORECASE,
    ),
    "es": re.compile(
        r"(?:a|al|cerca|con|de|dentro|desde|en|fuera|junto|lejos|no|preferiblemente|si|sin)\b", re.IGNORECASE
    ),
}
_ARTICLE: Final = re.compile(r"(?:an?|the|el|los?|las?|una?)\b", re.IGNORECASE)
_ADJECTIVE_ES: Final = re.compile(
    rf" (?!(?:{_PREPOSITIONS['es'].pattern}|{_ARTICLE.pattern}|(?:para|por|que|y|hoy|mañana)\b))\w", re.IGNORECASE
)
"""An adjective after a Spanish noun ("mesa tranquila")."""


def people_in(description: str) -> int | None:
    """Return the number of people in a booking's description ("two seats"); None if it does not name one."""
    match = _PEOPLE.search(description)
    if match is None:
        return None
    word = next(filter(None, match.groups())).lower()
    return int(word) if word.isdecimal() else next(n for n, words in enumerate(_PEOPLE_WORDS, 1) if word in words)


_PEOPLE_WORDS: Final = (
    ("one", "una", "un"), ("two", "dos"), ("three", "tres"), ("four", "cuatro"), ("five", "cinco"), ("six", "seis"),
    ("seven", "siete"), ("eight", "ocho"), ("nine", "nueve"), ("ten", "diez"),
)  # fmt: skip
_COUNT: Final = rf"([1-9]\d?|{'|'.join(word for words in _PEOPLE_WORDS for word in words)})"
_PEOPLE: Final = re.compile(
    rf"\b{_COUNT} (?:people|persons?|seats?|guests?|diners|adults|personas?|asientos?|plazas?|comensales|adultos)\b"
    rf"|\bparty of {_COUNT}\b"
    rf"|\b(?:tables?|mesa|seats?) (?:for|para) {_COUNT}\b"
    r"(?! ?(?:[ap]\.?m|nights?|noches?|hours?|horas?|o'clock|[:.]\d))",
    re.IGNORECASE,
)


def names_time(text: str) -> bool:
    """Whether a text names a time or a day, also roughly."""
    return any(pattern.search(text) for pattern in (_SAID["when"], _WHEN))


_WHEN: Final = re.compile(
    r"\b(?:weeks?|months?|(?:any|some) ?day|soon|anytime|mornings?|afternoons?|evenings?|noon|semanas?|mes(?:es)?"
    r"|d[ií]as?|cuanto antes|tardes?|mediod[ií]a)\b",
    re.IGNORECASE,
)


def is_time_in_other_language(text: str, language: str) -> bool:
    """Whether a `time_preference_text` is in the other language, which is not that of the call."""
    return bool(_TIME_WORDS["en" if language == "es" else "es"].search(text))


_TIME_WORDS: Final = {
    "en": re.compile(
        r"\b(?:after|any|around|before|between|by|evenings?|mornings?|night|noon|the|or)\b", re.IGNORECASE
    ),
    "es": re.compile(
        r"\b(?:antes|después|desde|entre|hasta|las?|mañana|mediodía|noche|partir|por|tarde)\b", re.IGNORECASE
    ),
}
