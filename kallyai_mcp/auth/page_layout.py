"""The frame, the style, and the headers of all pages for signing in."""

from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files

from kallyai_mcp.languages import Language
from kallyai_mcp.visual_identity import ICON, MARK, TOKENS, as_data_uri, csp_hash


def document(
    lang: Language, heading: str, body: str, *, brand: str = "", above: str = "", head: str = "", footer: str = ""
) -> str:
    """The HTML of a whole page.

    Args:
        lang: The language.
        heading: The title and main heading: text.
        body: The HTML below the heading.
        brand: The text next to KallyAI's name, such as a host.
        above: The HTML above the heading.
        head: More HTML for the `head` element.
        footer: The HTML at the end.
    """
    title, beside = escape(heading), f'<span class="soft">{escape(brand)}</span>' if brand else ""
    return (
        f'<!doctype html>\n<html lang="{lang}">\n<head>\n<meta charset="utf-8">\n<title>{title} | KallyAI</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex">\n'
        f'<link rel="icon" type="image/svg+xml" href="{as_data_uri(ICON.encode(), "image/svg+xml")}">\n'
        f"{head}<style>{_style()}</style>\n</head>\n<body>\n<main>\n"
        f'<p class="brand">{MARK}<strong>KallyAI</strong>{beside}</p>\n'
        f"{above}<h1>{title}</h1>\n{body}\n<footer>{footer}<p>kallyai-mcp</p></footer>\n</main>\n</body>\n</html>\n"
    )


def page_headers(*, forms: bool = False) -> Mapping[str, str]:
    """The headers of a page that is not stored, not framed, and loads nothing. Its URL is not sent as a referrer.

    Args:
        forms: Whether the page has a form, which is sent to its own server.
    """
    target = "'self'" if forms else "'none'"
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": (
            f"default-src 'none'; style-src {csp_hash(_style())}; img-src data:; base-uri 'none'; "
            f"form-action {target}; frame-ancestors 'none'"
        ),
        "Cross-Origin-Resource-Policy": "same-origin",
        # With no-referrer, a browser would send the form with `Origin: null`, as from any other page.
        "Referrer-Policy": "same-origin" if forms else "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


@cache
def _style() -> str:
    return f"\n{TOKENS}{files('kallyai_mcp.auth').joinpath('style.css').read_text(encoding='utf-8')}"
