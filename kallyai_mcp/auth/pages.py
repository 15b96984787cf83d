"""The frame, style, headers, and texts of all pages for signing in, and the page that ends a
sign-in here.
"""

import tomllib
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Literal

from kallyai_mcp.cards.style import ICON, MARK, TOKENS, as_data_uri, csp_hash
from kallyai_mcp.cards.texts import Language, preferred_language


@cache
def _style() -> str:
    folder = files("kallyai_mcp.auth")
    parts = [folder.joinpath(name).read_text("utf-8") for name in ("frame.css", "style.css")]
    return "".join(["\n", TOKENS, *parts])


Kind = Literal["done", "failed", "over", "wrong"]
Origin = Literal["chat", "terminal"]
"""Where the user started the sign-in, and goes back."""


def document(
    language: Language,
    heading: str,
    body: str,
    *,
    brand: str = "",
    above: str = "",
    head: str = "",
    footer: str = "",
    script: str = "",
) -> str:
    """The HTML of a whole page.

    `brand`, the text next to KallyAI's name, is escaped; the rest is HTML, and `script` JavaScript.
    """
    at_end = f"<script>{script}</script>\n" if script else ""
    beside = f'<span class="soft">{escape(brand)}</span>' if brand else ""
    return (
        f'<!doctype html>\n<html lang="{language}">\n<head>\n'
        f'<meta charset="utf-8">\n<title>{heading} | KallyAI</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" '
        'content="noindex">\n'
        '<link rel="icon" type="image/svg+xml" '
        f'href="{as_data_uri(ICON.encode(), "image/svg+xml")}">\n'
        f"{head}<style>{_style()}</style>\n</head>\n<body>\n<main>\n"
        f'<p class="brand">{MARK}<strong>KallyAI</strong>{beside}</p>\n'
        f"{above}<h1>{heading}</h1>\n{body}\n<footer>{footer}<p>kallyai-mcp</p></footer>\n</main>\n{at_end}</body>\n</html>\n"
    )


def page_headers(*, forms: bool = False, script: str = "") -> Mapping[str, str]:
    """The headers of a page that is not stored, not framed, and loads nothing.

    Its URL is not sent as a referrer. With `forms`, the page has a form, which is sent to its own
    server. It runs its one `script` alone.
    """
    target = "'self'" if forms else "'none'"
    runs = f"script-src {csp_hash(script)}; " if script else ""
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": (
            f"default-src 'none'; {runs}style-src {csp_hash(_style())}; img-src data:; "
            "base-uri 'none'; "
            f"form-action {target}; frame-ancestors 'none'"
        ),
        "Cross-Origin-Resource-Policy": "same-origin",
        # With no-referrer, a browser would send the form with `Origin: null`, as from any other
        # page.
        "Referrer-Policy": "same-origin" if forms else "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


@cache
def texts(package: str, page: str, language: Language) -> Mapping[str, str]:
    """The texts and templates of one page by name, from the `texts.toml` of a package."""
    tables = tomllib.loads(files(package).joinpath("texts.toml").read_text(encoding="utf-8"))
    return {
        name: text if isinstance(text, str) else text[language]
        for name, text in tables[page].items()
    }


def fill(
    package: str,
    page: str,
    language: Language,
    values: Mapping[str, str],
    chosen: Mapping[str, str] | None = None,
) -> Mapping[str, str]:
    """The texts and templates of one page as HTML, with `values` in them.

    A template may contain texts; those whose names a request decides are `chosen`, by the name that
    stands in the template. Values are escaped, unless their name begins with `html_`. A missing
    name stands for nothing.
    """
    safe = defaultdict(str, {name: _as_html(name, text) for name, text in values.items()})
    filled = defaultdict(str)
    templates = {}
    for name, text in texts(package, page, language).items():
        if "<" in text:
            templates[name] = text
        else:
            filled[name] = text.format_map(safe)
    filled |= {name: filled[text] for name, text in (chosen or {}).items()}
    return filled | {name: text.format_map(filled | safe) for name, text in templates.items()}


def _as_html(name: str, value: str) -> str:
    return value if name.startswith("html_") else escape(value)


_DISC = '<circle cx="34" cy="34" r="34" fill="currentColor"/>'
_STROKE = 'fill="none" stroke-width="5.5" stroke-linecap="round" stroke-linejoin="round"'
_TICK = f'{_DISC}<path d="M21 35.5 30 44.5 47.5 25" {_STROKE}/>'
_CROSS = f'{_DISC}<path d="M24 24 44 44M44 24 24 44" {_STROKE}/>'
_CLOCK = f'{_DISC}<path d="M34 20v14.5l9 5.5" {_STROKE}/>'
_NOTE = f'{_DISC}<path d="M34 20v17M34 47.5v.01" {_STROKE}/>'
_SIGNS = {"done": _TICK, "failed": _CROSS, "over": _CLOCK, "wrong": _NOTE}
"""The picture of each end of a sign-in."""


def loopback_page(
    kind: Kind, accepted: str, *, place: Origin = "chat", who: str | None = None
) -> bytes:
    """The page at the end of a sign-in on this machine that began at `place`; `accepted` is the
    Accept-Language header.

    `who` is the user who has signed in, if the token tells.
    """
    language = preferred_language(accepted)
    places = texts("kallyai_mcp.auth", place, language)
    words = fill("kallyai_mcp.auth", kind, language, places)
    body = f"<p>{words['text']}</p>"
    if kind == "done":
        body = _name(who) + body
    above = f'<svg class="sign {kind}" viewBox="0 0 68 68" aria-hidden="true">{_SIGNS[kind]}</svg>'
    return document(language, words["heading"], body, above=above).encode()


def _name(who: str | None) -> str:
    """The line with the name of the user who has signed in; empty if it is not known."""
    return f'<p class="who"><bdi>{escape(who).replace("@", "<wbr>@")}</bdi></p>' if who else ""
