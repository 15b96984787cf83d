"""Says a task in the words of somebody who calls on a user's behalf, instead of reading it aloud.

The task is addressed to the assistant ("Ask them whether they are open, I want to come by bike"); on the phone it is
addressed to the callee ("I'd like to know whether you are open, they want to come by bike").
"""

import re
from typing import Final, Literal

Kind = Literal["booking", "question", "cancel", "change", "order", "task"]
"""What a call is for: a booking, a question, canceling or changing a booking, an order, or anything else."""

POLITE: Final = (
    r"^\W*(?:(?:please|por favor|(?:can|could) you|call (?:them )?(?:and|to)|llam[ae]\w* (?:y|para)"
    r"|(?:see|check|find out|ask)(?: them)? (?:if|whether) (?:they|you) (?:can|could)"
    r"|i(?:'d like| would like| need| want| have) (?:you )?to|ask (?:them )?to|need to|quiero|quisiera)\W+)*"
)
"""How a task may begin before it says what to do."""

_VERBS: Final = (
    r"activate|add|apologize|apply|arrange|bring|claim|collect|complain|contest|deactivate|discuss|dispute|exchange"
    r"|explain|extend|file|fix|follow|get|give|hire|invite|leave|negotiate|pay|pick|register|remind|remove|renew|rent"
    r"|report|request|return|say|schedule|send|sign|speak|submit|subscribe|talk|thank|track|transfer|try|unsubscribe"
    r"|update|verify|wish"
)
_STEMS_ES: Final = r"arregl|confirm|contrat|modific|negoci|notific|pag|program|reclam|registr|repar|solicit|verific"
"""Spanish verbs in -ar, whose imperative ends in -a."""

_OPENINGS: Final[tuple[tuple[str, str, str], ...]] = (
    ("en", r"(?:ask|find out|check|inquire|see)(?: with)?(?: them)?,? (?:if|whether)\b", "I'd like to know whether"),
    ("en", r"(?:ask|find out|check)(?: them)? (?=(?:when|what|where|which|who|how)\b)", "I'd like to know "),
    ("en", r"(?:ask|inquire|enquire|find out)(?: them)? (?=(?:about|for)\b)", "I'd like to ask "),
    ("en", r"ask (?:them |him |her |the \w+ )to\b", "Could you please"),
    ("en", r"confirm(?: that)?\b", "I'd like to confirm"),
    ("en", r"check(?: on| for)?\b(?! with)", "I'd like to ask about"),
    ("en", r"(?:ask|check)(?: them)?\b", "I'd like to ask"),
    ("en", r"cancel\b", "I'd like to cancel"),
    ("en", r"(?=(?:change|move|reschedule|postpone)\b)", "I'd like to "),
    ("en", r"(?=(?:order|buy|pre-?order)\b)", "I'd like to "),
    ("en", r"(?:tell|inform)(?: them)?(?: that)?\b", "I'm calling to let you know that"),
    ("en", r"let them know(?: that)?\b", "I'm calling to let you know that"),
    ("en", rf"(?=(?:{_VERBS})\b)", "I'd like to "),
    ("es", r"(?:pregunt|averigu|consult|comprueb|mir)\w*(?: con ellos)?(?= si\b)", "Quisiera saber"),
    ("es", r"(?:pregunt|averigu|consult)\w* (?=(?:a qué|cuánd|cuánt|dónde|qué|cuál|cómo|quién))", "Quisiera saber "),
    ("es", r"(?:pregunt|consult)\w* (?=por\b)", "Quisiera preguntar "),
    ("es", r"(?:cancel[ae]\w*|cancelar|anul[ae]\w*|anular)\b", "Quisiera cancelar"),
    ("es", r"(?:cambi[ae]\w*|cambiar)\b", "Quisiera cambiar"),
    ("es", r"(?:mueve|mover)\b", "Quisiera mover"),
    ("es", r"(?:aplaz[ae]\w*|aplazar|pospon\w*)\b", "Quisiera aplazar"),
    ("es", r"(?:pide|pedir|encarg[ua]\w*|compra\w*)\b", "Quisiera encargar"),
    ("es", r"(?:di(?:le|les)?|avis[ae]\w*|inform[ae]\w*)(?: de)?(?= que\b)", "Llamo para decirles"),
    ("es", rf"(?P<stem>{_STEMS_ES})ar?\b", "Quisiera {stem}ar"),
)  # fmt: skip
"""How a task begins, and how the sentence on the phone does, by the language of both."""

_BEGINNINGS: Final = tuple(
    (language, re.compile(POLITE + pattern, re.IGNORECASE), opening) for language, pattern, opening in _OPENINGS
)

_VERBS_ES: Final = {
    "llego": "llega", "llegamos": "llegan", "voy": "va", "vamos": "van", "quiero": "quiere", "queremos": "quieren",
    "necesito": "necesita", "necesitamos": "necesitan", "tengo": "tiene", "tenemos": "tienen", "soy": "es",
    "somos": "son", "estoy": "está", "estamos": "están", "puedo": "puede", "podemos": "pueden", "he": "ha",
    "hemos": "han",
}  # fmt: skip
"""Spanish verbs about the user, as the user says them, and as somebody says them who speaks of the user."""

_INFINITIVE_ES: Final = re.compile(r"\w+(?:ar|er|ir)\b", re.IGNORECASE)

_SWAPS: Final = {
    "en": {
        "they": "you", "them": "you", "their": "your", "theirs": "yours", "they're": "you're", "they'll": "you'll",
        "i": "they", "we": "they", "me": "them", "us": "them", "my": "their", "our": "their", "mine": "theirs",
        "i'm": "they're", "we're": "they're", "i'll": "they'll", "we'll": "they'll", "i've": "they've", "am": "are",
        "i'd": "they'd", "we'd": "they'd", "myself": "themselves",
    },
    "es": {"mi": "su", "mis": "sus", "nuestro": "su", "nuestra": "su", "nuestros": "sus", "nuestras": "sus",
           **_VERBS_ES},
}  # fmt: skip
"""Who is spoken to and who is spoken of change places. In Spanish, the third person is right for the callee too."""

_WORD: Final = re.compile(r"[\w']+")

_FUTURE_ES: Final = re.compile(r"(?<=[aei])r(?:é|emos)\b")

_FIRST_PERSON_ES: Final = re.compile(r"\b(?:yo|me|nos|nosotr[oa]s|conmigo)\b", re.IGNORECASE)
"""With these, a Spanish sentence would have to be built anew, so it is quoted."""

_STATEMENT: Final = {
    "en": re.compile(
        r"(?:i|we|my|our|it|its|it's|i'm|i've|we're|we've|the|an?|this|there|they|their)\b", re.IGNORECASE
    ),
    "es": re.compile(r"(?:mis?|nuestr\w+|el|la|los|las|una?|es|se|su|sus|hay|no)\b", re.IGNORECASE),
}
"""How a sentence begins that asks for nothing."""

_CONDITION: Final = {
    "en": re.compile(r"(?:(?:and|also|then|otherwise),? |if [^,]+, )", re.IGNORECASE),
    "es": re.compile(r"(?:(?:y|además|también|luego),? |si [^,]+, )", re.IGNORECASE),
}
"""What may stand before a task in a sentence that is not the first one."""

_QUESTION: Final = re.compile(r"[?¿]")

_BOOKING: Final = {
    "en": re.compile(
        POLITE + r"(?:book|reserve|get|make|schedule|arrange|ask for|find|set up)(?: me| us| them)?(?: an?| the)? "
        r"(?P<adjectives>(?:(?!for\b|at\b|on\b)[\w-]+ ){0,2})"
        r"(?P<thing>table|room|appointment|reservation|booking|visit)s?\b",
        re.IGNORECASE,
    ),
    "es": re.compile(
        POLITE + r"(?:reserv\w+|haz(?:me)?|hacer|pid[ea]\w*|pedir|agend\w+|consigu\w+|busca\w*)(?: una?| la)? "
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


def sentences(text: str) -> list[str]:
    """Return the sentences of a text on one line."""
    return [each for each in _SENTENCE_ENDS.split(text.strip()) if re.search(r"\w", each)]


_SENTENCE_ENDS: Final = re.compile(
    r"(?<=[.!?])(?<!\bDr\.)(?<!\bDra\.)(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bSr\.)(?<!\bSra\.)(?<!\bSt\.)"
    r"(?<!\b[A-Z]\.)(?<!\bm\.)\s+"
)
"""Where a sentence ends; no abbreviation does."""


def rephrase(description: str, language: str) -> str | None:
    """Return the task in sentences for the callee; None if one can't be put into other words.

    Args:
        description: The `task_description`, on one line.
        language: The language of the call, `en` or `es`. A description in the other language is not translated.
    """
    said = [_rephrase_sentence(each, language) for each in sentences(description)]
    return " ".join(each for each in said if each is not None) if said and None not in said else None


def rephrase_question(description: str, language: str) -> str | None:
    """Return one direct question as the assistant asks it; None for anything else, and for the other language."""
    text = description.strip()
    if len(sentences(text)) != 1 or not text.endswith("?") or ("¿" in text) != (language == "es"):
        return None
    return text if language == "es" else _capital(_swap(text, "en"))


def _rephrase_sentence(sentence: str, language: str) -> str | None:
    if (question := rephrase_question(sentence, language)) is not None:
        return question
    if _QUESTION.search(sentence) or (language == "es" and _FIRST_PERSON_ES.search(sentence)):
        return None
    for spoken, pattern, opening in _BEGINNINGS:
        if spoken == language and (match := pattern.match(sentence)):
            rest = sentence[match.end() :].strip(" .!:,")
            begins = opening.format_map({name: part.lower() for name, part in match.groupdict().items()}).rstrip()
            words = f"{begins} {_swap(rest[:1].lower() + rest[1:], language)}"
            end = "?" if opening.startswith("Could you") else "."
            return _sentence(words, end) if rest else None
    if (condition := _CONDITION[language].match(sentence)) and condition.end() < len(sentence):
        task = _rephrase_sentence(sentence[condition.end() :], language)
        return f"{_capital(_swap(condition[0], language))}{_lower(task)}" if task else None
    if language == "es" and _INFINITIVE_ES.match(sentence):
        return _sentence(f"Quisiera {_swap(_lower(sentence.strip(' .!')), language)}", ".")
    if _STATEMENT[language].match(sentence):
        return _sentence(_swap(sentence.strip(" .!"), language), ".")
    return None


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
    if match is None and _is_in_other_language(description, language):
        return None
    adjectives = match["adjectives"].strip() if match else ""
    thing = f"{_article(adjectives)} {adjectives} {match['thing'].lower()} " if match and adjectives else ""
    rest = description[match.end() :] if match else _lower(description)
    if knows_party:
        rest = _SAID["party"].sub("", rest)
    if knows_day:
        rest = _SAID["when"].sub("", rest)
    if business:
        rest = re.sub(rf"\b(?:at|in|en) (?:the |el |la )?{re.escape(business)}", "", rest, flags=re.IGNORECASE)
    parts = [_lower(_swap(each.strip(" .!,;"), language)) for each in sentences(re.sub(r"\s+(?=[,;.])", "", rest))]
    words = f"{thing}{', '.join(parts)}".strip(" .!,;")
    if language == "es" and _FIRST_PERSON_ES.search(words):
        return None
    return words if re.search(r"\w", words) else ""


def kind_of_wish(words: str, language: str) -> Literal["for", "how", "that", "what"]:
    """Return how a wish goes into a sentence: what it is for, how it should be, a sentence of its own, or a thing."""
    if words.startswith(("for ", "para ")):
        return "for"
    if _PREPOSITIONS[language].match(words):
        return "how"
    return "that" if _STATEMENT[language].match(words) and not _ARTICLE.match(words) else "what"


_PREPOSITIONS: Final = {
    "en": re.compile(
        r"(?:as|at|away|by|close|if|in|inside|near|next|not|on|outside|preferably|quiet|with|without)\b", re.IGNORECASE
    ),
    "es": re.compile(r"(?:a|al|cerca|con|de|dentro|en|fuera|junto|lejos|no|preferiblemente|si|sin)\b", re.IGNORECASE),
}
_ARTICLE: Final = re.compile(r"(?:an?|the|el|los?|las?|una?)\b", re.IGNORECASE)


def _is_in_other_language(text: str, language: str) -> bool:
    other = "en" if language == "es" else "es"
    return bool(
        _BOOKING[other].match(text)
        or _STATEMENT[other].match(text)
        or any(spoken == other and pattern.match(text) for spoken, pattern, _ in _BEGINNINGS)
    )


def is_time_in_other_language(text: str, language: str) -> bool:
    """Whether a `time_preference_text` is in the language that is not spoken in the call."""
    return bool(_TIME_WORDS["en" if language == "es" else "es"].search(text))


_TIME_WORDS: Final = {
    "en": re.compile(
        r"\b(?:after|any|around|before|between|by|evenings?|mornings?|night|noon|the|or)\b", re.IGNORECASE
    ),
    "es": re.compile(
        r"\b(?:antes|después|desde|entre|hasta|las?|mañana|mediodía|noche|partir|por|tarde)\b", re.IGNORECASE
    ),
}


def note(instruction: str, language: str) -> str:
    """Return an additional instruction as it is passed on in a sentence, without its final period."""
    text = _swap(_PASSED_ON.sub("", instruction.rstrip(" .")), language)
    return _lower(text)


_PASSED_ON: Final = re.compile(
    r"(?:please )?(?:(?:tell|inform|remind)(?: them)?|mention|say|let them know|request"
    r"|di(?:les?)?|menciona|avisa\w*|pide)\b(?: that\b| que\b)? ",
    re.IGNORECASE,
)
"""How an instruction begins that says what to pass on."""


def _swap(text: str, language: str) -> str:
    swaps = _SWAPS[language]
    text = re.sub(r"\bI was\b", "I were", text)
    if language == "es":
        text = _FUTURE_ES.sub(lambda word: "rá" if word[0] == "ré" else "rán", text)
    return _WORD.sub(lambda word: swaps.get(word[0].lower().replace("\u2019", "'"), word[0]), text)


def _sentence(text: str, end: str) -> str:
    return f"{_capital(text)}{'' if text.endswith('?') else end}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str) -> str:
    """Begin with a lower-case letter, unless the first word is an abbreviation or "I"."""
    return text if text[:2].isupper() or text.startswith(("I ", "I'")) else text[:1].lower() + text[1:]


def _article(words: str) -> str:
    return "an" if words[:1].lower() in "aeiou" else "a"
