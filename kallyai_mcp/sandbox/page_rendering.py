"""What the sandbox's pages for people have in common: no script, nothing from elsewhere, light and dark."""

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
    """`text`, escaped, with what stands between backticks as code."""
    parts = (escape(part) for part in text.split("`"))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else part for place, part in enumerate(parts)
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


def render(template: str, *, language: str = "en", **values: Any) -> HTMLResponse:
    """A page from `sandbox/templates`.

    Args:
        template: The file's name.
        language: Which language its words are in.
        values: What the template names; all of it is escaped.
    """
    page = _environment().get_template(template).render(language=language, **values)
    return HTMLResponse(page, headers=_HEADERS | {"Content-Language": language})


def day(moment: datetime, language: str) -> str:
    """The date of `moment`, as one writes it in `language`."""
    return format_date(moment, "long", locale=language)


def number(value: float, language: str) -> str:
    """A number to at most one decimal, as one writes it in `language`."""
    return format_decimal(value, "#,##0.#", locale=language)


@router.get("/_sandbox/style.css", name="style")
async def style() -> Response:
    """How all these pages look."""
    css = (files("kallyai_mcp.sandbox") / "templates" / "style.css").read_text(encoding="utf-8")
    return Response(css, media_type="text/css", headers={"X-Content-Type-Options": "nosniff"})
