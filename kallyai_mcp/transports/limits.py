"""What one client may use of the server: requests, open streams, and time.

Each process counts its own limits.
"""

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
from mcp.server.auth.provider import AccessToken
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_HEAD_BYTES = 64 * 1024
"""The most bytes of a request's URL and headers."""

MAX_HEADERS = 100
"""The most headers of a request."""

MOST_STREAMS = 2_000
"""The most open streams of this process. Each takes about 80 kB."""

MOST_PER_CALLER = 200
"""The most open streams of one account (of one address, if no token is needed)."""

VERIFY_SECONDS = 30.0
"""Seconds between two checks of the bearer token of an open stream."""

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


class VerificationUnavailableError(Exception):
    """A bearer token can't be checked now. The client may try again after `retry_after` seconds."""

    def __init__(self, retry_after: float = 5) -> None:
        super().__init__()
        self.retry_after = retry_after


Verifier = Callable[[str], Awaitable[AccessToken | None]]
"""Checks a bearer token; returns its content, or None if it is invalid. Raises `VerificationUnavailableError`."""


class RateLimiter:
    """A moving window for each caller, which is deleted when it is empty.

    `rate` is the most uses in a time, such as `300/minute`; the unit is `second`, `minute`, `hour`, or `day`. `clock`
    is monotonic, in seconds.
    """

    def __init__(self, rate: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        most, _, unit = rate.partition("/")
        self._most, self._window, self._clock = int(most), _SECONDS[unit], clock
        self._uses: OrderedDict[str, deque[float]] = OrderedDict()
        """The times of each caller's newest uses, at most as many as are allowed. The newest caller is the last."""

    def acquire(self, caller: str) -> float:
        """Count one use by `caller` if it is allowed; returns 0, or the seconds until one is allowed."""
        wait = self.peek(caller)
        if wait == 0:
            self._uses.setdefault(caller, deque(maxlen=self._most)).append(self._clock())
            self._uses.move_to_end(caller)
        return wait

    def peek(self, caller: str) -> float:
        """What `acquire` would return; nothing is counted."""
        now = self._clock()
        while self._uses and next(iter(self._uses.values()))[-1] <= now - self._window:
            self._uses.popitem(last=False)
        uses = self._uses.get(caller)
        return 0.0 if uses is None or len(uses) < self._most else max(0.0, uses[0] + self._window - now)


class _Response:
    """A response on its way to the client, which can be ended early. What the app sends after that is dropped."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = self._is_complete = False

    async def send(self, message: Message) -> None:
        if not self._is_complete:
            self.has_begun = True
            self._is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await self._send(message)

    async def end(self) -> None:
        if self.has_begun:
            await self.send({"type": "http.response.body"})


class OpenStreams:
    """Counts the open streams of this process, and ends each soon after its bearer token is no longer valid.

    `verifier` checks bearer tokens; None if no token is needed.
    """

    def __init__(self, verifier: Verifier | None) -> None:
        self._verifier = verifier
        self._open: Counter[str] = Counter()

    def refusal(self, caller: str) -> str | None:
        """Why `caller` may not open one more stream, in words; None if it may."""
        if self._open[caller] >= MOST_PER_CALLER:
            return f"You have {MOST_PER_CALLER} streams open, which is the most. Close one first."
        if self._open.total() >= MOST_STREAMS:
            return f"This server has {MOST_STREAMS} streams open, which is the most."
        return None

    async def serve(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, caller: str, bearer: str | None
    ) -> None:
        """Run `app` for a stream of `caller`. When `bearer` is no longer valid, end the response.

        Then uvicorn tells `app` that the client has disconnected.
        """
        response = _Response(send)
        self._open[caller] += 1
        try:
            async with anyio.create_task_group() as tasks:
                if bearer is not None:
                    tasks.start_soon(self._end_when_invalid, bearer, response)
                await app(scope, receive, response.send)
                tasks.cancel_scope.cancel()
        finally:
            self._open -= Counter([caller])  # drops a caller without streams

    async def _end_when_invalid(self, bearer: str, response: _Response) -> None:
        is_valid = True
        while is_valid and self._verifier is not None:
            await anyio.sleep(VERIFY_SECONDS)
            with suppress(VerificationUnavailableError):  # as long as nothing is known, the token counts as valid
                is_valid = await self._verifier(bearer) is not None
        await response.end()


def is_stream(scope: Scope) -> bool:
    """Whether a request is answered with a stream that ends only when the client disconnects.

    The header `Mcp-Method` can be used, because the SDK refuses a message with another method (MCP 2026-07-28,
    "Streamable HTTP").
    """
    if scope["method"] == "GET":
        return bool(scope["path"] == "/sse")
    return Headers(scope=scope).get("mcp-method") == "subscriptions/listen"


class RequestLimits:
    """ASGI middleware that refuses long headers, and ends the open requests when the server stops.

    uvicorn cancels the task of a request only then, and would log that as an error of the app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = scope["headers"]
        size = sum(len(name) + len(value) for name, value in headers)
        size += len(scope["raw_path"]) + len(scope["query_string"])
        if size > MAX_HEAD_BYTES or len(headers) > MAX_HEADERS:
            await PlainTextResponse("The headers are too long", 431)(scope, receive, send)
            return
        response = _Response(send)
        try:
            await self._app(scope, receive, response.send)
        except asyncio.CancelledError:
            await response.end()
            if not response.has_begun:
                await PlainTextResponse("The server stops", 503)(scope, receive, send)
