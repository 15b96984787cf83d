"""The pages people see: templates, and headers under which a page can load, leak and be framed by nothing."""

import base64
import hashlib
from importlib import resources
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kallyai_mcp.sandbox.auth.text import WORDS, preferred_language
from kallyai_mcp.sandbox.errors import ApiError, error_body

_CSS = resources.files(__package__).joinpath("templates", "style.css").read_text("utf-8")
_CSS_HASH = base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()

_templates = Environment(
    loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_templates.globals["css"] = Markup(_CSS)  # noqa: S704 - our own file, and its hash is in the policy


def page(
    request: Request, template: str, *, back_to: str | None = None, status: int = 200, **context: Any
) -> HTMLResponse:
    """A page in the language of the browser.

    Args:
        request: For its `Accept-Language`.
        template: The file's name in `templates/`.
        back_to: The origin the page's forms may end up at, beside our own; None: the page has no forms.
        status: The HTTP status.
        context: What the template needs besides `t`, its words.
    """
    language = preferred_language(request.headers.get("accept-language"))
    html = _templates.get_template(template).render(t=WORDS[language], language=language, back_to=back_to, **context)
    # Chromium holds form-action against the redirects after a form too, so the way back is named in it.
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


def refuse(request: Request, error: ApiError) -> HTMLResponse:
    """An error that must not be sent on to any redirect_uri: a page for a person, the standard format for a program.

    Raises:
        ApiError: `error` itself, when the request doesn't ask for HTML.
    """
    if "text/html" not in request.headers.get("accept", ""):
        raise error
    return page(request, "stopped.html", status=error.status, error=error_body(error)["error"])
