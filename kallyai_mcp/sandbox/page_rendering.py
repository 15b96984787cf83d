"""Renders the sandbox's pages in English or Spanish. They load no resources of other servers."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

import jinja2
from fastapi import Depends, Request
from fastapi.responses import HTMLResponse

Language = Literal["en", "es"]

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language",
}


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
    """Return the pages' language for a request's `Accept-Language` (RFC 9110, section 12.5.4); English by default."""
    accepted: list[tuple[float, Language]] = [(0.0, "en")]
    for choice in request.headers.get("accept-language", "").split(","):
        tag, _, weight = choice.partition(";")
        language = tag.strip().lower().split("-")[0]
        if language in ("en", "es"):
            accepted.append((_weight(weight), "es" if language == "es" else "en"))
    return max(accepted, key=lambda choice: choice[0])[1]  # the first of those with the same weight


def _weight(parameter: str) -> float:
    name, _, value = parameter.partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return min(float(value), 1.0)
    except ValueError:
        return 0.0


PageLanguage = Annotated[Language, Depends(preferred_language)]
"""A FastAPI dependency: the language of the requested page."""


def render(
    template: str, *, language: Language, status: int = 200, headers: Mapping[str, str] = {}, **values: Any
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
