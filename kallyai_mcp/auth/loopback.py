"""The reference's "CLI Authentication": the sign-in page sends the browser back to a listener on this machine.

The URLs of the requests have tokens, so the listener uses no web framework, which could log them.
"""

import hmac
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Self
from urllib.parse import parse_qsl

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from kallyai_mcp.api.errors import NotSignedInError, UnreadableResponseError
from kallyai_mcp.api.models import TokenGrant
from kallyai_mcp.auth.pages import Kind, Origin, loopback_page, page_headers
from kallyai_mcp.auth.tokens import Tokens

_LINGER_SECONDS = 3.0
"""The most seconds that the end of a sign-in waits for the browser to get its last page."""

_ERROR = re.compile(r"[a-z_]{1,40}")
_MAX_REQUEST_BYTES = 65_536
_CLOSE_SECONDS = 1.0


@dataclass(frozen=True, repr=False)
class Request:
    """A browser's request: the target before and after the question mark, and the headers by lower-case name."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Reply:
    """The reply to a request. `sent` is called when all of it has been written to the connection."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: Callable[[], None] = lambda: None


@asynccontextmanager
async def listening(answer: Callable[[Request], Reply]) -> AsyncIterator[int]:
    """A context that listens on a free port of 127.0.0.1, and yields it. Each connection serves one request.

    The end of the context ends all connections, also idle ones.
    """

    async def handle(stream: SocketStream) -> None:
        async with stream:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
                await _serve(stream, answer)

    listening = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listening as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
        tasks.cancel_scope.cancel()


async def _serve(stream: SocketStream, answer: Callable[[Request], Reply]) -> None:
    try:
        head = await BufferedByteReceiveStream(stream).receive_until(b"\r\n\r\n", _MAX_REQUEST_BYTES)
        reply = answer(_read(head))
    except (anyio.IncompleteRead, anyio.DelimiterNotFound, ValueError):
        reply = Reply(400, b"")
    headers = {**reply.headers, "Content-Length": str(len(reply.body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    await stream.send("\r\n".join([*lines, "", ""]).encode("ascii") + reply.body)
    # If it were closed while the browser still sends, the connection would be reset, and the browser lose the reply.
    with anyio.move_on_after(_CLOSE_SECONDS):
        await stream.send_eof()
        reply.sent()
        while True:
            await stream.receive()


def _read(head: bytes) -> Request:
    """The request line and the headers; raises `ValueError`."""
    first, *lines = head.decode("ascii").split("\r\n")
    method, target, _ = first.split(" ")
    path, _, query = target.partition("?")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Request(method, path, query, headers)


class LoopbackSignIn:
    """One sign-in in the browser, from the link to the tokens: an async context manager that listens while it is open.

    The tokens come in the URL of a request. The reply is a redirect to another URL, so that the tokens stay neither in
    the address bar nor in the history. The end of the context waits up to `linger` seconds until the browser has that
    page, which sends the user back to `place`.

    `auth_url` returns the URL of the sign-in page for our redirect URI and a state, which must come back. The link
    works for `timeout` seconds from entering the context.
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
        self._auth_url, self._timeout, self._linger = auth_url, timeout, linger
        self._place: Origin = place
        self._state = secrets.token_urlsafe(32)
        self._answer: TokenGrant | NotSignedInError | None = None
        self._answered, self._shown = anyio.Event(), anyio.Event()
        self._page: Kind | None = None
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Listen; raises `OSError` when there is no port to listen on."""
        self._deadline = anyio.current_time() + self._timeout
        port = await self._open.enter_async_context(listening(self._reply))
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self.redirect_uri = f"http://{self._hosts[0]}"
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
        """Wait until the browser comes back from the sign-in page; returns the tokens that it brings.

        Raises `NotSignedInError`: the page sent an error (code `sign_in_refused`), for example because the user
        canceled, or the browser did not come back in time (code `sign_in_timed_out`).
        """
        with anyio.move_on_after(self.seconds_left):
            await self._answered.wait()
        if self._answer is None:
            raise NotSignedInError("Nobody finished signing in before the link expired.", code="sign_in_timed_out")
        if isinstance(self._answer, NotSignedInError):
            raise self._answer
        return self._answer

    def accept(self, pasted: str) -> bool:
        """Sign in with the URL that the browser was sent to, pasted by a user whose browser is on another machine.

        False if it has not the state of this sign-in, which then still waits, or if this one is over.
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
        except (ValueError, UnreadableResponseError):
            return "wrong"
        self._answered.set()
        return None

    def _reply(self, request: Request) -> Reply:
        def show(status: int, kind: Kind) -> Reply:
            who = Tokens.from_grant(self._answer, 0).who if isinstance(self._answer, TokenGrant) else None
            body = loopback_page(kind, request.headers.get("accept-language", ""), place=self._place, who=who)
            sent = self._shown.set if status == 200 else lambda: None
            return Reply(status, body, {**page_headers(), "Content-Type": "text/html; charset=utf-8"}, sent)

        # Against DNS rebinding: a web site can resolve its own name to 127.0.0.1, but the Host header has that name.
        if request.headers.get("host", "").lower() not in self._hosts:
            return show(421, "wrong")
        if self._page is not None and request.path == f"/{self._page}":
            return show(200, self._page)
        if request.method != "GET" or request.path != "/":
            return show(404, "wrong")
        if (problem := self._take(request.query)) is not None:
            return show(400 if problem == "wrong" else 410, problem)
        self._page = "failed" if isinstance(self._answer, NotSignedInError) else "done"
        return Reply(303, b"", {**page_headers(), "Location": f"/{self._page}"})


def _parse(fields: Mapping[str, str]) -> TokenGrant | NotSignedInError:
    """The tokens or the error in `fields`; raises `ValueError` or `UnreadableResponseError` if there is neither."""
    error = fields.get("error")
    if error == "access_denied":
        return NotSignedInError("The sign-in was canceled on KallyAI's page.", code="sign_in_refused")
    if error is not None:
        # Users and agents see it, so it must look like an error code.
        shown = error if _ERROR.fullmatch(error) else "no reason that could be shown"
        return NotSignedInError(f"KallyAI's page refused the sign-in ({shown}).", code="sign_in_refused")
    grant = TokenGrant.model_validate(fields)
    Tokens.from_grant(grant, 0)
    return grant
