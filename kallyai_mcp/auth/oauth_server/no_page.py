"""The page for a person who opens an address at which there is none; a program gets no page."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kallyai_mcp.auth.pages import document, fill, page_headers
from kallyai_mcp.cards.texts import preferred_language

_NO_PAGE = frozenset({401, 404, 405})
"""What the server answers a browser without a token where it has no page."""


@dataclass(frozen=True)
class NoPage:
    """A middleware: where the `app` has no page, a browser gets one that says so."""

    app: ASGIApp
    issuer: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or not _is_of_browser(scope):
            return await self.app(scope, receive, send)
        refused: Message | None = None

        async def send_pages(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] in _NO_PAGE:
                refused = message
            if refused is None:
                await send(message)

        await self.app(scope, receive, send_pages)
        if refused is not None:
            await self._page(Request(scope), refused)(scope, receive, send)
        return None

    def _page(self, request: Request, refused: Message) -> HTMLResponse:
        """The page, with the status of the answer that it replaces, and with its challenge."""
        language = preferred_language(request.headers.get("Accept-Language", ""))
        words = fill("kallyai_mcp.auth.oauth_server", "no_page", language, {})
        brand = urlsplit(self.issuer).netloc
        html = document(language, words["heading"], words["html"], brand=brand)
        kept = Headers(raw=refused["headers"])
        challenge = {name: kept[name] for name in ("WWW-Authenticate", "Allow") if name in kept}
        return HTMLResponse(html, refused["status"], headers={**page_headers(), **challenge})


def _is_of_browser(scope: Scope) -> bool:
    """Whether somebody opens an address in a browser."""
    headers = Headers(scope=scope)
    return scope["method"] == "GET" and "text/html" in headers.get("Accept", "")
