"""The sign-in pages, whose headers forbid scripts, external resources, referrers, and framing."""

import base64
import hashlib
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from kallyai_mcp.sandbox import page_rendering
from kallyai_mcp.sandbox.auth.responses import auth_error
from kallyai_mcp.sandbox.errors import error_body

_CSS = page_rendering.read("tokens.css") + page_rendering.read("sign_in/style.css")
_CSS_HASH = base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()


def page(
    request: Request, template: str, *, back_to: str | None = None, status: int = 200, **values: Any
) -> HTMLResponse:
    """Return a page in the language of the browser.

    Args:
        request: The request; its `Accept-Language` decides the language.
        template: The file's name in `templates/sign_in`.
        back_to: The origin that the page's forms may redirect to; None: the page has no forms.
        status: The HTTP status.
        values: As for `page_rendering.render`.
    """
    # Chromium checks form-action for redirects after a form, too, so it must contain the origin of the redirect_uri.
    forms = f"'self' {back_to}" if back_to else "'none'"
    headers = {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_CSS_HASH}'; form-action {forms}; "
        "base-uri 'none'; frame-ancestors 'none'",
        "Vary": "Accept-Language, Accept, Cookie",
    }
    language = page_rendering.preferred_language(request)
    css = Markup(_CSS)  # noqa: S704 - our own file
    return page_rendering.render(
        f"sign_in/{template}", language=language, status=status, headers=headers, css=css, back_to=back_to, **values
    )


def error_page(request: Request, code: str, message: str, reason: str | None = None) -> HTMLResponse:
    """Return the page of an error that is not sent to a redirect_uri.

    Raises:
        ApiError: The error, if the request does not accept HTML.
    """
    error = auth_error(400, code, message, reason)
    if "text/html" not in request.headers.get("accept", ""):
        raise error
    return page(request, "stopped.html", status=error.status, error=error_body(error)["error"])
