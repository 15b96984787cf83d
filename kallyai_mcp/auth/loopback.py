"""The reference's "CLI Authentication": the sign-in page sends the browser back to a listener on
this machine.

The URLs of the requests have tokens; `serve_app` logs none.
"""

import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Self
from urllib.parse import parse_qsl

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from kallyai_mcp.api.errors import NotSignedInError
from kallyai_mcp.api.models import TokenGrant
from kallyai_mcp.auth.pages import Kind, Origin, loopback_page, page_headers
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.transports.uvicorn_server import serve_app

_LINGER_SECONDS = 3.0
"""The most seconds that the end of a sign-in waits for the browser to get its last page."""

_ERROR = re.compile(r"[a-z_]{1,40}")

_STATUS_OF: Mapping[Kind, int] = {"wrong": 400, "over": 410}
"""The HTTP status of a page that says why an answer is not taken."""


class LoopbackSignIn:
    """One sign-in in the browser, from the link to the tokens: an async context manager that
    listens while it is open.

    The tokens come in the URL of a request. The reply is a redirect to another URL, so that the
    tokens stay neither in the address bar nor in the history. The end of the context waits up to
    `linger` seconds until the browser has that page, which sends the user back to `place`.

    `auth_url` returns the URL of the sign-in page for our redirect URI and a state, which must come
    back. The link works for `timeout` seconds from entering the context.
    """

    redirect_uri: str
    """The URL where the browser comes back: `http://127.0.0.1:PORT`."""
    link: str
    """The URL that the user opens."""

    def __init__(
        self,
        auth_url: Callable[[str, str], str],
        timeout: float,
        *,
        linger: float = _LINGER_SECONDS,
        place: Origin = "chat",
    ) -> None:
        self._auth_url = auth_url
        self._timeout = timeout
        self._linger = linger
        self._place: Origin = place
        self._state = secrets.token_urlsafe(32)
        self._answer: TokenGrant | NotSignedInError | None = None
        self._answered = anyio.Event()
        self._shown = anyio.Event()
        self._page: Kind | None = None
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Listen; raises `OSError` when there is no port to listen on."""
        self._deadline = anyio.current_time() + self._timeout
        app = Starlette(routes=[Mount("/", self._serve)])
        self.redirect_uri = await self._open.enter_async_context(serve_app(app, "127.0.0.1", 0))
        port = self.redirect_uri.rpartition(":")[2]
        self._hosts = ([f"127.0.0.1:{port}"], [f"localhost:{port}"])
        self.link = self._auth_url(self.redirect_uri, self._state)
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        """Wait until the browser has its page, and stop listening."""
        try:
            if self._page is not None and (exc_type is None or issubclass(exc_type, Exception)):
                with anyio.move_on_after(self._linger):
                    await self._shown.wait()
        finally:
            await self._open.aclose()

    @property
    def seconds_left(self) -> float:
        """For how many seconds the link still works."""
        return self._deadline - anyio.current_time()

    async def grant(self) -> TokenGrant:
        """Wait until the browser comes back from the sign-in page; returns the tokens that it
        brings.

        Raises `NotSignedInError`: the page sent an error (code `sign_in_refused`), for example
        because the user canceled, or the browser did not come back in time (code
        `sign_in_timed_out`).
        """
        with anyio.move_on_after(self.seconds_left):
            await self._answered.wait()
        if self._answer is None:
            raise NotSignedInError(
                "Nobody finished signing in before the link expired.", code="sign_in_timed_out"
            )
        if isinstance(self._answer, NotSignedInError):
            raise self._answer
        return self._answer

    def accept(self, pasted: str) -> bool:
        """Sign in with the URL that the browser was sent to, pasted by a user whose browser is on
        another machine.

        False if it has not the state of this sign-in, which then still waits, or if this one is
        over.
        """
        text = "".join(pasted.split()).strip("\"'<>")
        return self._take(text.partition("?")[2].partition("#")[0]) is None

    def _take(self, query: str) -> Kind | None:
        """Take the answer in a query; returns the page that says why it is not taken."""
        fields = dict(parse_qsl(query))
        # Checked first, so that a sender without the state learns nothing.
        if not hmac.compare_digest(fields.get("state", "").encode(), self._state.encode()):
            return "wrong"
        if self._answer is not None or self.seconds_left <= 0:
            return "over"
        try:
            self._answer = _parse(fields)
        except ValueError:
            return "wrong"
        self._answered.set()
        return None

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = self._reply(Request(scope))
        await response(scope, receive, send)
        if response.status_code == 200:
            self._shown.set()

    def _reply(self, request: Request) -> Response:
        # Against DNS rebinding: a web site can resolve its own name to 127.0.0.1, but the Host
        # header has that name.
        if list(map(str.lower, request.headers.getlist("host"))) not in self._hosts:
            return self._show(request, 421, "wrong")
        if self._page is not None and request.url.path == f"/{self._page}":
            return self._show(request, 200, self._page)
        if request.method != "GET" or request.url.path != "/":
            return self._show(request, 404, "wrong")
        problem = self._take(request.url.query)
        if problem is not None:
            return self._show(request, _STATUS_OF[problem], problem)
        self._page = "failed" if isinstance(self._answer, NotSignedInError) else "done"
        return Response(None, 303, {**page_headers(), "Location": f"/{self._page}"})

    def _show(self, request: Request, status: int, kind: Kind) -> Response:
        accepted = request.headers.get("accept-language", "")
        body = loopback_page(kind, accepted, place=self._place, who=self._who)
        return HTMLResponse(body, status, headers=page_headers())

    @property
    def _who(self) -> str | None:
        """Who has signed in, if the token tells."""
        if isinstance(self._answer, TokenGrant):
            return Tokens.from_grant(self._answer, 0).who
        return None


def _parse(fields: Mapping[str, str]) -> TokenGrant | NotSignedInError:
    """The tokens or the error in `fields`; raises `ValueError` if there is neither."""
    error = fields.get("error")
    if error == "access_denied":
        return NotSignedInError(
            "The sign-in was canceled on KallyAI's page.", code="sign_in_refused"
        )
    if error is not None:
        # Users and agents see it, so it must look like an error code.
        shown = error if _ERROR.fullmatch(error) else "no reason that could be shown"
        return NotSignedInError(
            f"KallyAI's page refused the sign-in ({shown}).", code="sign_in_refused"
        )
    return TokenGrant.model_validate(fields)
