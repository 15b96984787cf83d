"""Puts a task into the words of an assistant that speaks for the user, so that it need not read the task aloud.

The task is addressed to the assistant: "Ask them whether they are open, I want to come by bike". On the phone, the
assistant says: "I'd like to know whether you are open, I want to come by bike". "I" stays, because the assistant speaks
for the user. "They" becomes "you", because it means the callee. In Spanish, "usted" takes the third person, so only the
beginning of a sentence changes.
"""

import re
from typing import Final

from kallyai_mcp.sandbox.simulator.clauses import POLITE, TELLS, TELLS_PATTERN, clauses, folded, sentences

_VERBS: Final = (
    r"activate|add|apologize|apply|arrange|bring|claim|collect|complain|contest|deactivate|discuss|dispute|exchange"
    r"|explain|extend|file|fix|follow|get|give|hire|invite|leave|negotiate|pay|pick|register|remind|remove|renew|rent"
    r"|report|request|return|say|schedule|send|sign|speak|submit|subscribe|talk|thank|track|transfer|try|unsubscribe"
    r"|update|verify|wish"
)
_STEMS_ES: Final = r"arregl|confirm|contrat|modific|negoci|notific|pag|program|reclam|registr|repar|solicit|verific"
"""Spanish verbs in -ar, whose imperative ends in -a."""

_OPENINGS: Final[tuple[tuple[str, str, str], ...]] = (
    ("en", r"(?:tell|let) me (?:know )?", "I'd like to know "),
    ("en", r"(?:ask|find out|check|inquire|see|know)(?: with)?(?: them| the \w+)?,? (?:if|whether)\b",
     "I'd like to know whether"),
    ("en", r"(?:ask|find out|check)(?: them| the \w+)? (?=(?:when|what|where|which|who|how|why)\b)",
     "I'd like to know "),
    ("en", r"(?:ask|inquire|enquire|find out)(?: them)? (?=(?:about|for)\b)", "I'd like to ask "),
    ("en", r"(?:ask (?:them |him |her |the \w+ )to|have them)\b", "Could you please"),
    ("en", r"confirm(?: that)?\b", "I'd like to confirm"),
    ("en", r"check(?: on| for)?\b(?! with)", "I'd like to ask about"),
    ("en", r"(?:ask|check)(?: them)?\b", "I'd like to ask"),
    ("en", r"(?=(?:cancel|know|change|move|reschedule|postpone|order|buy|pre-?order)\b)", "I'd like to "),
    ("en", TELLS_PATTERN, "I'm calling to let you know that"),
    ("en", rf"(?=(?:{_VERBS})\b)", "I'd like to "),
    ("es", r"(?:dime|avisame|cuentame)\b", "Quisiera saber"),
    ("es", r"(?:pregunt|averigu|consult|comprueb|mir)\w*(?: con ellos)?(?= si\b)|saber\b", "Quisiera saber"),
    ("es", r"(?:pregunt|averigu|consult)\w* (?=(?:a que|cuand|cuant|donde|que|cual|como|quien))", "Quisiera saber "),
    ("es", r"(?:pregunt|consult)\w* (?=por\b)", "Quisiera preguntar "),
    ("es", r"(?:cancel[ae]\w*|cancelar|anul[ae]\w*|anular)\b", "Quisiera cancelar"),
    ("es", r"(?:cambi[ae]\w*|cambiar)\b", "Quisiera cambiar"),
    ("es", r"(?:muev[ae]\w*|mover)\b", "Quisiera mover"),
    ("es", r"(?:aplaz[ae]\w*|aplazar|aplac\w*|pospon\w*)\b", "Quisiera aplazar"),
    ("es", r"(?:pid[ea]\w*|pedir\w*) (?=que\b)|(?=que\b)", "Les pido "),
    ("es", r"(?:pid[ea]\w*|pedir\w*)\b", "Quisiera pedir"),
    ("es", r"(?:encarg[ua]\w*|compra\w*)\b", "Quisiera encargar"),
    ("es", TELLS_PATTERN, "Llamo para decirles que"),
    ("es", rf"(?P<stem>{_STEMS_ES})ar?\b", "Quisiera {stem}ar"),
)  # fmt: skip
"""The language, how a task begins, and how the assistant's sentence on the phone begins instead."""

_BEGINNINGS: Final = tuple(
    (language, re.compile(POLITE + pattern, re.IGNORECASE), opening) for language, pattern, opening in _OPENINGS
)

_TO_THE_CALLEE: Final = {
    "they": "you", "them": "you", "their": "your", "theirs": "yours", "they're": "you're", "they'll": "you'll",
    "they've": "you've",
}  # fmt: skip
_THEY: Final = re.compile(rf"\b(?:{'|'.join(_TO_THE_CALLEE)})\b", re.IGNORECASE)
_THINGS: Final = re.compile(
    r"\b(?!(?:is|was|does|has|this|its|always|yes|hours)\b)[a-z]+[^\Wsu]s\b.*\w.* ", re.IGNORECASE
)
"""A plural, with another word after it. "They" then means the things: "the shoes I bought, because they don't fit"."""

_USER: Final = re.compile(r"\bthe (?:user|customer|client)\b", re.IGNORECASE)
"""The user as a third person; "they" may mean the user then."""

_INFINITIVE_ES: Final = re.compile(r"\w+(?:ar|er|ir)\b", re.IGNORECASE)

_STATEMENT: Final = {
    "en": re.compile(
        r"(?:i|we|my|our|it|its|it's|i'm|i'd|i've|i'll|we're|we've|we'll|the|an?|this|there|they|their)\b"
        r"|(?:[\w-]+ ){1,4}(?:is|are|was|were|has|had|will|needs|works|(?:ca|do|does|did|is|are|was|were|wo)n't)\b",
        re.IGNORECASE,
    ),
    "es": re.compile(
        r"(?:mis?|nuestr\w+|el|la|los|las|una?|es|se|su|sus|hay|no|me|nos|ya|\w+(?:o|oy|é|í|mos))\b", re.IGNORECASE
    ),
}
"""The beginning of a sentence that gives the assistant no task."""

_CONDITION: Final = {
    "en": re.compile(r"(?:(?:and|also|then|otherwise),? |if [^,]+, )", re.IGNORECASE),
    "es": re.compile(r"(?:(?:y|además|también|luego),? |si [^,]+, )", re.IGNORECASE),
}
"""Words that may come before a task in a later sentence."""

_QUESTION: Final = re.compile(r"[?¿]")

_CALL: Final = re.compile(r"(?:please |por favor,? )?(?:call|phone|llam[ae]\w*)\b(?! me\b)[^,;]*", re.IGNORECASE)
"""A clause that says only who should be called."""

_PASSED_ON: Final = re.compile(
    r"(?:please )?(?:(?:tell|inform|remind)(?: them)?|mention|say|let them know|request"
    r"|di(?:les?)?|menciona|avisa\w*|pide)\b(?: that\b| que\b)? ",
    re.IGNORECASE,
)
"""The beginning of an instruction that says what to pass on."""


def rephrase(description: str, language: str) -> str | None:
    """Return the task in sentences for the callee; None if one can't be put into other words.

    Args:
        description: The `task_description`, on one line.
        language: The language of the call, `en` or `es`. A description in the other language is not translated.
    """
    tasks = [each for each in clauses(description) if not _CALL.fullmatch(folded(each))]
    said = [_rephrase_clause(each, language) for each in tasks]
    return " ".join(each for each in said if each) if said and None not in said else None


def rephrase_question(description: str, language: str) -> str | None:
    """Return one direct question as the assistant asks it; None for anything else, and for the other language."""
    text = description.strip()
    if len(sentences(text)) != 1 or not text.endswith("?") or ("¿" in text) != (language == "es"):
        return None
    is_task = any(pattern.match(folded(text)) for _, pattern, _ in _BEGINNINGS)  # "Could you ask whether …?"
    return None if is_task else _capital(to_the_callee(text, language))


def _rephrase_clause(clause: str, language: str) -> str | None:
    """Return a clause as a sentence; "" if it only says that the callee should be told what was said before."""
    if (question := rephrase_question(clause, language)) is not None:
        return question
    for spoken, pattern, opening in _BEGINNINGS:
        if spoken == language and (match := pattern.match(folded(clause))):
            return _with_opening(clause, match, opening, language)
    if _QUESTION.search(clause):
        return None
    if (condition := _CONDITION[language].match(clause)) and condition.end() < len(clause):
        task = _rephrase_clause(clause[condition.end() :], language)
        return f"{_capital(to_the_callee(condition[0], language))}{lower(task)}" if task else None
    if language == "es" and _INFINITIVE_ES.match(clause):
        return _sentence(f"Quisiera {lower(clause.strip(' .!'))}", ".")
    if is_statement(clause, language):
        return _sentence(to_the_callee(clause.strip(" .!,"), language), ".")
    return None


def _with_opening(clause: str, task: re.Match[str], opening: str, language: str) -> str:
    """Return a clause with the `opening` of a sentence on the phone in place of the `task` with which it begins."""
    rest = clause[task.end() :].strip(" .!?:,")
    if not rest and (TELLS.match(folded(clause)) or opening.endswith(("know ", "saber"))):
        return ""
    begins = opening.format_map({name: part.lower() for name, part in task.groupdict().items()}).rstrip()
    rest = rest if task.end() else lower(rest)
    rest = rest if _USER.search(clause) else to_the_callee(rest, language)
    return _sentence(f"{begins} {rest}".rstrip(), "?" if opening.startswith("Could you") else ".")


def is_statement(text: str, language: str) -> bool:
    """Whether a text gives the assistant no task, by how it begins."""
    return _STATEMENT[language].match(text) is not None


def is_in(language: str, text: str) -> bool:
    """Whether a text may be in this language: nothing shows that it is in the other one."""
    other = "en" if language == "es" else "es"
    begins = (pattern for spoken, pattern, _ in _BEGINNINGS if spoken == other)
    return not (is_statement(text, other) or any(pattern.match(folded(text)) for pattern in begins))


def note(instruction: str, language: str) -> str:
    """Return an additional instruction as it is passed on in a sentence, without its final period."""
    return lower(to_the_callee(_PASSED_ON.sub("", instruction.rstrip(" .")), language))


def to_the_callee(text: str, language: str) -> str:
    """Say "you" where a text speaks of the callee, unless "they" means things that it has named."""
    if language == "es":
        return text
    first = _THEY.search(text)
    if first is None or _THINGS.search(text[: first.start()]) or _USER.search(text):
        return text
    return _THEY.sub(lambda word: _TO_THE_CALLEE[word[0].lower()], text.replace("\u2019", "'"))


def _sentence(text: str, end: str) -> str:
    return f"{_capital(text)}{'' if text.endswith('?') else end}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def lower(text: str) -> str:
    """Begin with a lower-case letter, unless the first word is an abbreviation or "I"."""
    return text if text[:2].isupper() or text.startswith(("I ", "I'")) else text[:1].lower() + text[1:]
