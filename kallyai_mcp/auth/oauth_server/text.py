"""The texts of the pages in English and Spanish, from `texts.toml`."""

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Literal

from kallyai_mcp.languages import Language

Problem = Literal["client", "redirect", "request", "elsewhere", "busy", "forged"]
"""Why a sign-in can't go on: the name of a text of the pages. The name with `_text` is that of its explanation."""


@cache
def texts(part: Literal["pages", "home", "scopes"], lang: Language) -> Mapping[str, str]:
    """The texts of one part by name, in the order of the file."""
    file = files("kallyai_mcp.auth.oauth_server") / "texts.toml"
    parts: dict[str, dict[str, dict[Language, str]]] = tomllib.loads(file.read_text(encoding="utf-8"))
    return {name: wordings[lang] for name, wordings in parts[part].items()}


_SPANISH_MONTHS = (
    *("enero", "febrero", "marzo", "abril", "mayo", "junio"),
    *("julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"),
)


def date_in_words(day: date, lang: Language) -> str:
    """`day` as "November 24, 2026" or "24 de noviembre de 2026"."""
    if lang == "es":
        return f"{day.day} de {_SPANISH_MONTHS[day.month - 1]} de {day.year}"
    return f"{day:%B} {day.day}, {day.year}"
