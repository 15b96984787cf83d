"""The sandbox's pages, in English or Spanish: its home, and the page on which a person plays the
callee.

They load no resources of other servers. Other modules render pages of their own with `render`.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

import jinja2
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from kallyai_mcp.sandbox.accounts import ACCOUNTS
from kallyai_mcp.sandbox.local_access import only_from_this_machine
from kallyai_mcp.sandbox.simulator.numbers import as_groups
from kallyai_mcp.sandbox.simulator.submission import LANGUAGES, Language


def policy(forms: str = "'none'", scripts: str = "'none'") -> str:
    """Return a Content-Security-Policy for a page with the one style sheet, whose forms go to
    `forms` only.
    """
    return (
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action "
        f"{forms}; "
        f"frame-ancestors 'none'; script-src {scripts}; connect-src {scripts}"
    )


HEADERS = {
    "Content-Security-Policy": policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language",
}

_NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}

router = APIRouter(include_in_schema=False)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("kallyai_mcp.sandbox", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def preferred_language(request: Request) -> Language:
    """Return the pages' language: the first of `Accept-Language` that they have, by default
    English.
    """
    accepted = map(_language_of, request.headers.get("accept-language", "").split(","))
    return next(filter(None, accepted), "en")


def _language_of(tag: str) -> Language | None:
    """The language of a tag such as `es-MX;q=0.8`; None if the pages don't have it."""
    return LANGUAGES.get(tag.strip().lower()[:2])


PageLanguage = Annotated[Language, Depends(preferred_language)]
"""A FastAPI dependency: the language of the requested page."""


def render(
    template: str,
    *,
    language: Language,
    status: int = 200,
    headers: Mapping[str, str] = {},
    **values: Any,
) -> HTMLResponse:
    """Return a page from `sandbox/templates`."""

    def t(english: str, spanish: str) -> str:
        return spanish if language == "es" else english

    def number(value: float) -> str:
        text = f"{value:,.1f}".removesuffix(".0")
        return text if language == "en" else text.translate(str.maketrans(",.", ".,"))

    sandbox = t("Sandbox", "Entorno de pruebas")
    page = _environment().get_template(template)
    html = page.render(language=language, t=t, number=number, sandbox=sandbox, **values)
    return HTMLResponse(html, status, {**HEADERS, "Content-Language": language, **headers})


def read(name: str) -> str:
    """Return the text of a file in `sandbox/templates`."""
    return (files("kallyai_mcp.sandbox") / "templates" / name).read_text(encoding="utf-8")


def not_found_page(request: Request) -> HTMLResponse:
    """Return the page for a person who opens an address at which there is nothing."""
    return render("not_found.html", language=preferred_language(request), status=404)


@router.get("/")
async def home_page(request: Request, language: PageLanguage) -> HTMLResponse:
    """Show the sandbox's URL, the accounts, and the test numbers."""
    return render(
        "index.html",
        language=language,
        base_url=str(request.base_url),
        numbers=as_groups(language),
        accounts=ACCOUNTS.values(),
    )


@router.get("/_sandbox/play", dependencies=[Depends(only_from_this_machine)])
async def play_page(language: PageLanguage) -> HTMLResponse:
    """Serve the page in the browser's language."""
    headers = {"Content-Security-Policy": policy(scripts="'self'")}
    return render("play.html", language=language, headers=headers)


@router.get("/_sandbox/play.js", dependencies=[Depends(only_from_this_machine)])
async def script() -> Response:
    """Serve the script of the page."""
    headers = {**_NO_SNIFFING, "Cache-Control": "no-store"}
    return Response(read("play.js"), media_type="text/javascript", headers=headers)


@router.get("/_sandbox/style.css")
async def style() -> Response:
    """Serve the style sheet of the pages."""
    css = "".join(map(read, ("tokens.css", "frame.css", "style.css")))
    return Response(css, media_type="text/css", headers=_NO_SNIFFING)
