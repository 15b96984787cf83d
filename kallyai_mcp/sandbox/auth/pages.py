"""Renders the sign-in pages, with headers that forbid scripts, external resources, referrers, and framing."""

import base64
import hashlib
from importlib import resources
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kallyai_mcp.sandbox import page_rendering
from kallyai_mcp.sandbox.auth.text import TEXTS, preferred_language
from kallyai_mcp.sandbox.errors import ApiError, error_body

_OWN_CSS = resources.files(__package__).joinpath("templates", "style.css").read_text("utf-8")
_CSS = page_rendering.read("tokens.css") + _OWN_CSS
_CSS_HASH = base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()

_templates = Environment(
    loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_templates.globals |= {"css": Markup(_CSS), "mark": Markup(page_rendering.read("mark.svg"))}  # noqa: S704 - our own files


def page(
    request: Request, template: str, *, back_to: str | None = None, status: int = 200, **context: Any
) -> HTMLResponse:
    """Return a page in the language of the browser.

    Args:
        request: The request; its `Accept-Language` decides the language.
        template: The file's name in `templates/`.
        back_to: The origin that the page's forms may redirect to; None: the page has no forms.
        status: The HTTP status.
        context: The template's variables besides `t`, the texts.
    """
    language = preferred_language(request.headers.get("accept-language"))
    html = _templates.get_template(template).render(t=TEXTS[language], language=language, back_to=back_to, **context)
    # Chromium checks form-action for redirects after a form, too, so it must contain the origin of the redirect_uri.
    forms = f"'self' {back_to}" if back_to else "'none'"
    headers = {
        "Cache-Control": "no-store",
        "Content-Language": language,
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_CSS_HASH}'; form-action {forms}; "
        "base-uri 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept-Language, Accept, Cookie",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(html, status, headers)


def error_page(request: Request, error: ApiError) -> HTMLResponse:
    """Return the page of an error that is not sent to a redirect_uri; for programs, raise the error.

    Raises:
        ApiError: `error`, if the request does not accept HTML.
    """
    if "text/html" not in request.headers.get("accept", ""):
        raise error
    return page(request, "stopped.html", status=error.status, error=error_body(error)["error"])
