"""The page at the end of a sign-in on this machine, in English or Spanish."""

import tomllib
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any, Literal

from kallyai_mcp.auth.page_layout import document, page_headers
from kallyai_mcp.languages import page_language

Kind = Literal["done", "failed", "wrong", "used", "late", "missing", "method", "host"]
Origin = Literal["chat", "terminal"]
"""Where the user started the sign-in, and goes back."""

HEADERS: Mapping[str, str] = {**page_headers(), "Cross-Origin-Opener-Policy": "same-origin"}
"""The headers of every reply."""

_DISC = '<circle cx="34" cy="34" r="34" fill="currentColor"/>'
_STROKE = 'fill="none" stroke-width="5.5" stroke-linecap="round" stroke-linejoin="round"'
_TICK = f'{_DISC}<path d="M21 35.5 30 44.5 47.5 25" {_STROKE}/>'
_NOTE = f'{_DISC}<path d="M34 20v17M34 47.5v.01" {_STROKE}/>'


def page(kind: Kind, accepted: str, *, place: Origin = "chat", who: str | None = None) -> bytes:
    """The page as UTF-8, in the language that the browser prefers.

    Args:
        kind: What the page says.
        accepted: The Accept-Language header.
        place: Where the user started the sign-in.
        who: The user who has signed in, if the token tells.
    """
    lang = page_language(accepted)
    heading, text = _texts()["pages"][kind][lang]
    words = {name: wordings[lang] for name, wordings in _texts()["places"][place].items()}
    sign = (
        f'<svg class="sign {kind}" viewBox="0 0 68 68" aria-hidden="true">{_TICK if kind == "done" else _NOTE}</svg>\n'
    )
    name = f'<p class="who"><bdi>{escape(who)}</bdi></p>' if who and kind == "done" else ""
    return document(lang, heading, f"{name}<p>{text.format(**words)}</p>", above=sign).encode()


@cache
def _texts() -> dict[str, Any]:
    return tomllib.loads((files("kallyai_mcp.auth") / "pages.toml").read_text(encoding="utf-8"))
