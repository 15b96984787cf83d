"""What the callee of a line knows, and which of it answers a question: the fact whose words the
question has.
"""

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from kallyai_mcp.sandbox.simulator.scenario import BilingualText

_INQUIRY = re.compile(
    r"(?:please |por favor,? )?(?:ask|find out|check|inquire|pregunt\w+|averigu\w+|consult\w+)\b"
)
"""How a task begins that wants to know something; without accents, in lower case."""


@dataclass(frozen=True)
class _Topic:
    """What a fact is about: the words that a question about it has, and what every callee knows."""

    words: tuple[str, ...]
    says: BilingualText


@cache
def _topics() -> Mapping[str, _Topic]:
    text = (files("kallyai_mcp.sandbox.simulator") / "facts.toml").read_text(encoding="utf-8")
    return {
        name: _Topic(tuple(table["words"]), BilingualText.model_validate(table["says"]))
        for name, table in tomllib.loads(text).items()
    }


def answer_to(
    question: str, known: Mapping[str, BilingualText | None], language: str
) -> str | None:
    """Return what a callee says to a question; None if it does not know.

    `known` are the facts of its scenario by topic, in place of what every callee knows; None is
    what it does not know.
    """
    asked = _plain(question)
    weights = {topic: _weight(asked, topic) for topic in (*known, *_topics())}
    topic = max(weights, key=lambda name: weights[name])
    if weights[topic] == 0:
        return None
    says = known[topic] if topic in known else _topics()[topic].says
    return None if says is None else says.in_language(language)


def is_inquiry(task: str) -> bool:
    """Whether a task that is no question wants to know something ("Ask when they close")."""
    return _INQUIRY.match(_plain(task)) is not None


def _weight(asked: str, topic: str) -> int:
    """How well a question fits a topic: the number of letters of the topic's words in it."""
    found = _topics().get(topic)
    words = (topic.replace("_", " "),) if found is None else found.words
    return sum(len(word) for word in words if re.search(rf"\b{re.escape(word)}\b", asked))


def _plain(text: str) -> str:
    """A text in lower case and without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
