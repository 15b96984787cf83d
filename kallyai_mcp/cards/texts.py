"""The sentences that people read about calls and the quota, on cards and at the terminal, in English and Spanish."""

import json
from functools import cache
from importlib.resources import files
from typing import Literal

from kallyai_mcp.languages import Language

Part = Literal["shared", "errors", "call", "quota"]


@cache
def texts(*parts: Part) -> dict[Language, dict[str, str]]:
    """The sentences of these parts of `texts.json`, by language and key; names in braces are placeholders."""
    table: dict[Part, dict[Language, dict[str, str]]] = json.loads(
        (files(__package__) / "texts.json").read_text(encoding="utf-8")
    )
    languages: tuple[Language, ...] = ("en", "es")
    return {
        language: {key: text for part in parts for key, text in table[part][language].items()} for language in languages
    }
