"""Renders the sandbox's home, documentation, billing, and play pages: no resources of other servers."""

from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from babel.dates import format_date
from babel.numbers import format_decimal
from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup, escape

router = APIRouter(include_in_schema=False)

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language",
}


def _code(text: str) -> Markup:
    """Return `text` escaped, with the parts between backticks in `<code>` elements."""
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part)
        for index, part in enumerate(text.split("`"))
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kallyai_mcp.sandbox", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code
    return environment


def render(template: str, *, language: str = "en", scripts: bool = False, **values: Any) -> HTMLResponse:
    """Return a page from `sandbox/templates`.

    Args:
        template: The file's name.
        language: The page's language.
        scripts: The page has a script, which sends requests to the sandbox.
        values: The template's variables; all are escaped. Templates have `t(english, spanish)`, too.
    """

    def t(english: str, spanish: str) -> str:
        return spanish if language == "es" else english

    sandbox = t("Sandbox", "Entorno de pruebas")
    page = _environment().get_template(template).render(language=language, t=t, sandbox=sandbox, **values)
    headers = _HEADERS | {"Content-Language": language}
    if scripts:
        headers["Content-Security-Policy"] += "; script-src 'self'; connect-src 'self'"
    return HTMLResponse(page, headers=headers)


def day(moment: datetime, language: str) -> str:
    """Return the date of `moment` as it is written in `language`."""
    return format_date(moment, "long", locale=language)


def number(value: float, language: str) -> str:
    """Return `value` with at most one decimal as it is written in `language`."""
    return format_decimal(value, "#,##0.#", locale=language)


def read(name: str) -> str:
    """Return the text of a file in `sandbox/templates`."""
    return (files("kallyai_mcp.sandbox") / "templates" / name).read_text(encoding="utf-8")


@router.get("/_sandbox/style.css", name="style")
async def style() -> Response:
    """Serve the style sheet of all pages."""
    css = read("tokens.css") + read("style.css")
    return Response(css, media_type="text/css", headers={"X-Content-Type-Options": "nosniff"})
