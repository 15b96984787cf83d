"""Says a task in the words of somebody who calls on a user's behalf, instead of reading it aloud.

The task is addressed to the assistant ("Ask them whether they are open, I want to come by bike"); on the phone it is
addressed to the callee ("I'd like to know whether you are open, they want to come by bike").
"""

import re
from typing import Final, Literal

Kind = Literal["booking", "question", "cancel", "change", "order", "task"]
"""What a call is for: a booking, a question, canceling or changing a booking, an order, or anything else."""

_POLITE: Final = (
    r"^\W*(?:(?:please|por favor|(?:can|could) you|call (?:them )?(?:and|to)|llam[ae]\w* (?:y|para)"
    r"|i(?:'d| would) like (?:you )?to|ask (?:them )?to|need to|quiero|quisiera)\W+)*"
)

_OPENINGS: Final[tuple[tuple[str, str, str], ...]] = (
    ("en", r"(?:ask|find out|check|inquire|see)(?: with)?(?: them)?,? (?:if|whether)\b", "I'd like to know whether"),
    ("en", r"(?:ask|find out|check)(?: them)? (?=(?:when|what|where|which|who|how)\b)", "I'd like to know "),
    ("en", r"(?:ask|inquire|enquire|find out)(?: them)? (?:about|for)\b", "I'd like to ask about"),
    ("en", r"confirm(?: that)?\b", "I'd like to confirm"),
    ("en", r"(?:ask|check)(?: them)?\b", "I'd like to ask"),
    ("en", r"cancel\b", "I'd like to cancel"),
    ("en", r"(?=(?:change|move|reschedule|postpone)\b)", "I'd like to "),
    ("en", r"(?=(?:order|buy|pre-?order)\b)", "I'd like to "),
    ("en", r"(?:tell|inform)(?: them)?(?: that)?\b", "I'm calling to let you know that"),
    ("en", r"let them know(?: that)?\b", "I'm calling to let you know that"),
    ("es", r"(?:pregunt|averigu|consult|comprueb|mir)\w*(?: con ellos)?(?= si\b)", "Quisiera saber"),
    ("es", r"(?:pregunt|averigu|consult)\w* (?=(?:a qué|cuánd|cuánt|dónde|qué|cuál|cómo|quién))", "Quisiera saber "),
    ("es", r"(?:pregunt|consult)\w* (?=por\b)", "Quisiera preguntar "),
    ("es", r"(?:cancel[ae]\w*|cancelar|anul[ae]\w*|anular)\b", "Quisiera cancelar"),
    ("es", r"(?:cambi[ae]\w*|cambiar)\b", "Quisiera cambiar"),
    ("es", r"(?:mueve|mover)\b", "Quisiera mover"),
    ("es", r"(?:aplaz[ae]\w*|aplazar|pospon\w*)\b", "Quisiera aplazar"),
    ("es", r"(?:pide|pedir|encarg[ua]\w*|compra\w*)\b", "Quisiera encargar"),
    ("es", r"(?:di(?:le|les)?|avis[ae]\w*|inform[ae]\w*)(?: de)?(?= que\b)", "Llamo para decirles"),
)  # fmt: skip
"""How a task begins, and how the sentence on the phone does, by the language of both."""

_BEGINNINGS: Final = tuple(
    (language, re.compile(_POLITE + pattern, re.IGNORECASE), opening) for language, pattern, opening in _OPENINGS
)

_SWAPS: Final = {
    "en": {
        "they": "you", "them": "you", "their": "your", "theirs": "yours", "they're": "you're", "they'll": "you'll",
        "i": "they", "we": "they", "me": "them", "us": "them", "my": "their", "our": "their", "mine": "theirs",
        "i'm": "they're", "we're": "they're", "i'll": "they'll", "we'll": "they'll", "i've": "they've", "am": "are",
        "i'd": "they'd", "myself": "themselves",
    },
    "es": {"mi": "su", "mis": "sus", "nuestro": "su", "nuestra": "su", "nuestros": "sus", "nuestras": "sus"},
}  # fmt: skip
"""Who is spoken to and who is spoken of change places. In Spanish, the third person is right for the callee too."""

_WORD: Final = re.compile(r"[\w']+")

_FIRST_PERSON_ES: Final = re.compile(
    r"\b(?:yo|me|nos|nosotr[oa]s|\w+(?:aré|eré|iré|aremos|eremos|iremos)|voy|vamos|quiero|queremos|necesit(?:o|amos)"
    r"|tengo|tenemos|soy|somos|estoy|estamos|llego|llegamos)\b",
    re.IGNORECASE,
)
"""Spanish verbs would have to be conjugated anew, so a sentence about the user is quoted."""

_BOOKING: Final = {
    "en": re.compile(
        _POLITE + r"(?:book|reserve|get|make|schedule|arrange|ask for|find|set up)(?: me| us| them)?(?: an?| the)? "
        r"(?P<adjectives>(?:(?!for\b|at\b|on\b)[\w-]+ ){0,2})"
        r"(?P<thing>table|room|appointment|reservation|booking|visit)s?\b",
        re.IGNORECASE,
    ),
    "es": re.compile(
        _POLITE + r"(?:reserv\w+|haz(?:me)?|hacer|pid[ea]\w*|pedir|agend\w+|consigu\w+|busca\w*)(?: una?| la)? "
        r"(?P<thing>mesa|habitaci[oó]n|cita|reserva)(?P<adjectives>)\b",
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
        r"\b(?:(?:on|for|this|next|el|para el|este|para) )?(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday"
        r"|lunes|martes|miércoles|jueves|viernes|sábado|domingo|tomorrow|tonight|today|mañana|hoy)\b"
        r"(?: (?:morning|afternoon|evening|night|por la (?:mañana|tarde|noche)))?"
        r"|\b(?:at|a las?) \d{1,2}(?:[:.]\d\d)?(?: ?[ap]\.?m\b\.?)?",
        re.IGNORECASE,
    ),
}
"""Parts of a booking's description that the assistant says anyhow, because the submission has them as fields."""


def rephrase(description: str, language: str) -> str | None:
    """Return the task as a sentence for the callee; None if it can't be put into other words.

    Args:
        description: The `task_description`, on one line.
        language: The language of the call, `en` or `es`. A description in the other language is not translated.
    """
    if language == "es" and _FIRST_PERSON_ES.search(description):
        return None
    for spoken, pattern, opening in _BEGINNINGS:
        if spoken == language and (match := pattern.match(description)):
            rest = description[match.end() :].strip(" .!:,")
            return _sentence(f"{opening.rstrip()} {_swap(rest[:1].lower() + rest[1:], language)}") if rest else None
    return None


def rephrase_question(description: str, language: str) -> str | None:
    """Return a direct question as the assistant asks it; None for anything else, and for the other language."""
    text = description.strip()
    is_spanish = "¿" in text
    if not text.endswith("?") or is_spanish != (language == "es"):
        return None
    return text if is_spanish else _capital(_swap(text, "en"))


def wish(description: str, language: str, *, knows_party: bool, knows_day: bool, business: str | None) -> str | None:
    """Return what a booking's description wants beyond its fields ("by the window, for a birthday").

    Args:
        description: The `task_description`, on one line.
        language: The language of the call.
        knows_party: The submission has the number of people.
        knows_day: The submission has the day.
        business: The name of the business.

    Returns:
        The words, empty if there is nothing more; None if the description can't be put into other words.
    """
    match = _BOOKING[language].match(description)
    if match is None:
        return None
    adjectives = match["adjectives"].strip()
    thing = f"{_article(adjectives)} {adjectives} {match['thing'].lower()} " if adjectives else ""
    rest = description[match.end() :]
    if knows_party:
        rest = _SAID["party"].sub("", rest)
    if knows_day:
        rest = _SAID["when"].sub("", rest)
    if business:
        rest = re.sub(rf"\b(?:at|in|en) (?:the |el |la )?{re.escape(business)}", "", rest, flags=re.IGNORECASE)
    words = f"{thing}{_swap(' '.join(rest.split()), language)}".strip(" .!,;")
    if language == "es" and _FIRST_PERSON_ES.search(words):
        return None
    return words if re.search(r"\w", words) else ""


def note(instruction: str, language: str) -> str:
    """Return an additional instruction as it is passed on in a sentence, without its final period."""
    text = _swap(instruction.rstrip(" ."), language)
    return text[:1].lower() + text[1:] if not text[:2].isupper() else text


def _swap(text: str, language: str) -> str:
    swaps = _SWAPS[language]
    return _WORD.sub(lambda word: swaps.get(word[0].lower().replace("\u2019", "'"), word[0]), text)


def _sentence(text: str) -> str:
    return f"{_capital(text)}{'' if text.endswith('?') else '.'}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _article(words: str) -> str:
    return "an" if words[:1].lower() in "aeiou" else "a"
