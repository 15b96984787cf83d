"""The texts of cards and forms, in English and Spanish, from `texts.json`; and which of the two a
client prefers.

What a model or a terminal shows is in English; `texts.json` has what it says of each error code.
"""

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Language = Literal["en", "es"]
LANGUAGES: tuple[Language, Language] = ("en", "es")
Part = Literal["shared", "errors", "call", "quota", "forms"]


@cache
def _catalog() -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = json.loads(
        (files("kallyai_mcp.cards") / "texts.json").read_text("utf-8")
    )
    return table


def texts(language: Language, *parts: Part) -> dict[str, str]:
    """The texts of these parts by their keys; names in braces are placeholders."""
    shown: dict[str, str] = {}
    for part in parts:
        shown |= _catalog()[part][language]
    return shown


def explained(code: str) -> tuple[str, str] | None:
    """What an error with this code means, and what an agent should do, without periods; None if it
    is not explained.
    """
    found = _catalog()["codes"].get(code, {})
    return (found["happened"], found["todo"]) if "happened" in found else None


def error_sentences() -> dict[str, tuple[str, str]]:
    """What a person reads about an error, in English and in Spanish, by the error's code."""
    sentences = {}
    codes = _catalog()["codes"]
    for code, entry in codes.items():
        shown = codes[entry.get("like", code)]
        sentences[code] = (shown["en"], shown["es"])
    return sentences


def preferred_language(accepted: str) -> Language:
    """The preferred one of the two languages in an Accept-Language header, or in one language tag;
    else English.
    """
    tags = re.findall(r"([a-z]+)[^,;]*(?:;\s*q=(\d(?:\.\d+)?))?[^,]*", accepted.lower())
    tags.sort(key=lambda tag: -float(tag[1] or 1))
    for tag, _ in tags:
        for language in LANGUAGES:
            if tag == language:
                return language
    return "en"
