"""What one client may use of the server: requests, wrong bearer tokens, open streams, and time.

Each process counts its own limits.
"""

import asyncio
import logging
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import anyio
from mcp.server.auth.provider import AccessToken
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from kallyai_mcp.common_types import RateLimit
from kallyai_mcp.urls import network_of

_log = logging.getLogger(__name__)

BODY_TIMEOUT = 10.0
"""The most seconds for the body of a request, which has at most 64 KiB."""

MOST_STREAMS = 2_000
"""The most open streams of this process. Each takes about 80 kB."""

MOST_PER_CALLER = 200
"""The most open streams of one account (of one address, if no token is needed)."""

VERIFY_SECONDS = 30.0
"""Seconds between two checks of the bearer token of an open stream."""

UNKNOWN = "unknown"
"""The address of a client whose own address is not known, because an untrusted header has replaced it."""

_CONCURRENT_CHECKS = 4
"""How many unknown tokens of one address are checked at the same time. The limit may be exceeded by this number."""

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


class RateLimiter:
    """A moving window for each caller, which is deleted when it is empty.

    Args:
        rate: The most uses in a time, such as `300/minute`. The unit is `second`, `minute`, `hour`, or `day`.
        clock: Returns the time of a monotonic clock, in seconds.
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


class ClientAddress:
    """ASGI middleware that uses `X-Forwarded-For` and `X-Forwarded-Proto` only from trusted proxies.

    Without `--no-proxy-headers`, uvicorn's own command line uses them from 127.0.0.1. So a client of a tunnel on this
    machine could have a new address for each request. When uvicorn has replaced an address, the real one is lost, and
    all such clients count as one.

    Args:
        app: The next app.
        trusted: The addresses and networks of the trusted proxies.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[str] = ()) -> None:
        self._app = app
        self._trusted = list(trusted)
        # uvicorn has types of its own for the same ASGI app.
        self._forwarded: ASGIApp = ProxyHeadersMiddleware(app, self._trusted) if trusted else app  # type: ignore[arg-type, assignment]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request with the address of its client in the scope."""
        if scope["type"] == "http" and self._is_replaced(scope):
            _log.warning("uvicorn has replaced a client's address: start it with --no-proxy-headers")
            scope["client"] = (UNKNOWN, 0)
            await self._app(scope, receive, send)
            return
        await self._forwarded(scope, receive, send)

    def _is_replaced(self, scope: Scope) -> bool:
        """Whether uvicorn may have taken the address from the client's own header.

        A trusted proxy on this machine names its own address for a client on this machine, which is no such case.
        """
        header = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
        if not header or not scope.get("client") or scope["client"][0] in self._trusted:
            return False
        host = scope["client"][0]
        return any(
            part == host or part.startswith((f"{host}:", f"[{host}]")) for part in map(str.strip, header.split(","))
        )


class VerificationUnavailableError(Exception):
    """A bearer token can't be checked now. The client may try again after `retry_after` seconds."""

    def __init__(self, retry_after: float = 5) -> None:
        super().__init__()
        self.retry_after = retry_after


class TooManyAttemptsError(Exception):
    """A bearer token was not checked, because its address has sent too many invalid ones.

    The client may try again after `retry_after` seconds.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = retry_after


Verifier = Callable[[str], Awaitable[AccessToken | None]]
"""Checks a bearer token; returns its content, or None if it is invalid. Raises `VerificationUnavailableError`."""


class BearerThrottle:
    """Checks bearer tokens, but not those of an address that has sent too many invalid ones.

    A check may take a request to KallyAI. A token that was valid before is always checked, so that others at the same
    address can't block its owner. The addresses of one /64 network of IPv6 count as one (`network_of`).

    Args:
        verifier: Checks a bearer token.
        is_known: Returns whether a bearer token was valid before.
        wrong_bearer_limit: How many invalid tokens each address may send; None for no limit.
    """

    def __init__(
        self, verifier: Verifier, is_known: Callable[[str], bool], wrong_bearer_limit: RateLimit | None
    ) -> None:
        self._verifier, self._is_known, self._limit = verifier, is_known, wrong_bearer_limit
        self._checks: dict[str, anyio.CapacityLimiter] = {}

    async def check(self, bearer: str, address: str) -> AccessToken | None:
        """The content of a bearer token that `address` has sent; None if it is invalid.

        Raises:
            VerificationUnavailableError: The token can't be checked now.
            TooManyAttemptsError: The token was not checked.
        """
        if self._limit is None or self._is_known(bearer):
            return await self._verifier(bearer)
        network = network_of(address)
        limiter = self._checks.setdefault(network, anyio.CapacityLimiter(_CONCURRENT_CHECKS))
        try:
            async with limiter:
                if (wait := self._limit.peek(network)) > 0:
                    raise TooManyAttemptsError(wait)
                token = await self._verifier(bearer)
                if token is None:
                    self._limit.acquire(network)
                return token
        finally:
            if not limiter.borrowed_tokens and not limiter.statistics().tasks_waiting:
                self._checks.pop(network, None)


def is_stream(scope: Scope) -> bool:
    """Whether a request is answered with a stream that ends only when the client disconnects.

    The header `Mcp-Method` can be used, because the SDK refuses a message with another method (MCP 2026-07-28,
    "Streamable HTTP").
    """
    if scope["method"] == "GET":
        return scope["path"] in ("/mcp", "/sse")
    return Headers(scope=scope).get("mcp-method") == "subscriptions/listen"


class OpenStreams:
    """Counts the open streams of this process, and ends each soon after its bearer token is no longer valid.

    Args:
        verifier: Checks bearer tokens; None if no token is needed.
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
        """Run `app` for a stream of `caller`. When `bearer` is no longer valid, end it like after a disconnection."""
        ended, has_begun = asyncio.Event(), False

        async def send_until_ended(message: Message) -> None:
            nonlocal has_begun
            if not ended.is_set():  # uvicorn, too, drops what is sent after the client has disconnected
                has_begun = True
                await send(message)

        async def receive_until_ended() -> Message:
            received, end = asyncio.ensure_future(receive()), asyncio.ensure_future(ended.wait())
            try:
                await asyncio.wait((received, end), return_when=asyncio.FIRST_COMPLETED)
                return {"type": "http.disconnect"} if end.done() else received.result()
            finally:
                received.cancel()
                end.cancel()

        self._open[caller] += 1
        watch = asyncio.create_task(self._end_when_invalid(bearer, ended)) if bearer is not None else None
        try:
            await app(scope, receive_until_ended, send_until_ended)
        finally:
            if watch is not None:
                watch.cancel()
            self._open -= Counter([caller])  # drops a caller without streams
        if ended.is_set() and has_begun:
            await send({"type": "http.response.body"})

    async def _end_when_invalid(self, bearer: str, ended: asyncio.Event) -> None:
        assert self._verifier is not None, "a bearer was accepted"  # noqa: S101
        is_valid = True
        while is_valid:
            await asyncio.sleep(VERIFY_SECONDS)
            with suppress(VerificationUnavailableError):  # as long as nothing is known, the token counts as valid
                is_valid = await self._verifier(bearer) is not None
        _log.info("a stream ends: its bearer token is no longer valid")
        ended.set()


class Interruptions:
    """ASGI middleware for a request that is interrupted by a slow client (408) or by the stop of the server (503).

    A response that has begun is ended. uvicorn cancels the task of a request only when the server stops, and would log
    that as an error of the app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun, is_complete = False, False
        deadline: float | None = None

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        async def receive_in_time() -> Message:
            nonlocal is_complete, deadline
            if is_complete:
                return await receive()
            deadline = deadline or asyncio.get_running_loop().time() + BODY_TIMEOUT
            async with asyncio.timeout_at(deadline):
                message = await receive()
            is_complete = not message.get("more_body", False)
            return message

        try:
            await self._app(scope, receive_in_time, noted)
        except TimeoutError:
            if is_complete or has_begun:
                raise  # a time-out within the app
            text = PlainTextResponse("The request did not arrive in time", 408, headers={"Connection": "close"})
            await text(scope, receive, send)
        except asyncio.CancelledError:
            if has_begun:
                await send({"type": "http.response.body"})
            else:
                await PlainTextResponse("The server stops", 503)(scope, receive, send)
