"""Sends requests over connections of httpcore2, the lower half of httpx2, within limits of time and
size.

A client and a pool of httpx2 would do for each request what is the same for all of them, or what
the reference does not have, such as cookies; that is half of the time of a request.
"""

import asyncio
import logging
import random
import re
import socket
import ssl
import zlib
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

import anyio
import httpcore2
import httpx2

from kallyai_mcp.api.errors import KallyAIError, NotConnectedError, ResponseLostError
from kallyai_mcp.api.network import InProcess, Network, server_of, url_of
from kallyai_mcp.api.responses import ApiResponse, retry_after
from kallyai_mcp.telemetry import observed_request

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
"""The most seconds until a request is written: name resolution, proxy, TLS, and the last check."""

MAX_BODY = 5_000_000
"""The most bytes of a body that are read, to limit the memory.

A page of 200 calls is far smaller.
"""

RETRIES = 3
"""The most retries of a GET, after the first attempt."""

RETRY_SECONDS = 30.0
"""A retry of a GET begins within so many seconds after the first attempt.

A tool's client gives up after 60 or less.
"""

_STATUSES_THAT_MAY_PASS = (429, 502, 503, 504)

_FAILURES = (
    anyio.BrokenResourceError,
    anyio.EndOfStream,  # in a TLS handshake
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    OSError,  # time-outs, and some errors of TLS
    ValueError,  # a host name that is none
    zlib.error,
)


@dataclass
class ApiRequest:
    """An HTTP request, independent of the HTTP library.

    `target` is the path and the query, without the path of the API's base URL. `seconds` are the
    most from its first byte to the end of the response. `secrets` are tokens and codes in it, which
    must not be in an error.
    """

    method: Literal["GET", "POST"]
    target: str
    headers: dict[str, str] = field(repr=False)
    seconds: float
    body: bytes = field(default=b"", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


_LastCheck = Callable[[], Awaitable[None]]


class Transport:
    """Sends requests, and reads each response to its end.

    A POST has a connection of its own. On one that was used before, the server may have sent a
    second response, or may just be closing it, and nobody would know whether a call was placed. A
    GET uses the connection of an earlier GET.

    The arguments are those of `KallyAI`, which says what they mean. A wrong `base_url`, a proxy of
    an unsupported kind, and certificates that can't be read raise `ValueError`.
    """

    def __init__(self, base_url: str, *, app: "ASGIApp | None", backoff: float) -> None:
        try:
            self._url = httpx2.URL(base_url)
        except httpx2.InvalidURL:
            raise ValueError(
                "not a web address; it should look like https://api.kallyai.com"
            ) from None
        self._host = self._url.netloc.decode("ascii")
        self._path = self._url.raw_path.decode("ascii").rstrip("/")
        self._server = server_of(self._url)
        self._network = Network(self._url) if app is None else InProcess(app)
        self._backoff = backoff
        self._idle = deque[Any]()
        """Connections that were used for a GET.

        The oldest is used first, so that those that expired are closed.
        """
        self._is_closed = False

    async def aclose(self) -> None:
        """Close the connections that are not in use; the others are closed when their request has
        ended.
        """
        self._is_closed = True
        while self._idle:
            await self._idle.pop().aclose()

    async def send(self, request: ApiRequest, last_check: _LastCheck | None = None) -> ApiResponse:
        """Send a request, and a GET again after 429, 502, 503, 504, and failed connections.

        `last_check` is awaited when there is a connection, before the first byte. If it raises an
        error, nothing is sent.

        Raises:
            NotConnectedError: Nothing was sent.
            ResponseLostError: There is no complete response, but the request may have been sent.
        """
        # A client that would not wait for the end of a pause gets KallyAI's answer at once: it says
        # how long to wait.
        until = min(anyio.current_time() + RETRY_SECONDS, anyio.current_effective_deadline())
        # Only the ledger knows whether a POST may be sent again: it may have placed a call.
        retries = RETRIES if request.method == "GET" else 0
        attempts = 0
        while True:
            result = await self._observed_exchange(request, last_check, attempts)
            attempts += 1
            if retries == 0 or not _may_pass(result):
                break
            pause = _pause_of(result)
            if pause is None:
                # Random, so that clients of a service that comes back do not all ask at once.
                pause = random.uniform(0, self._backoff * 2 ** (RETRIES + 1 - retries))  # noqa: S311
            if anyio.current_time() + pause > until:
                break
            retries -= 1
            await anyio.sleep(pause)
        self._log_result(request, result)
        if isinstance(result, KallyAIError):
            raise result
        return result

    def _log_result(self, request: ApiRequest, result: ApiResponse | KallyAIError) -> None:
        """One line for a request; an operator must know of a KallyAI that fails."""
        if isinstance(result, KallyAIError):
            level, what = logging.WARNING, result.code
        else:
            level = logging.WARNING if result.status >= 500 else logging.INFO
            what = str(result.status)
        _log.log(level, "%s %s%s: %s", request.method, self._url, request.target, what)

    async def _observed_exchange(
        self, request: ApiRequest, last_check: _LastCheck | None, attempts_before: int
    ) -> ApiResponse | KallyAIError:
        """Send a request once, with a span and a measurement of it."""
        attributes: dict[str, str | int] = {
            "http.request.method": request.method,
            "url.template": self._path + template_of(request.target),
            "server.address": self._url.host,
            "server.port": self._server.port,
        }
        url = f"{self._url}{request.target}"
        with observed_request(url, attributes, resend_count=attempts_before) as exchange:
            result = await self._exchange_on_open_connection(request, last_check)
            if isinstance(result, KallyAIError):
                exchange.error = result.code
            else:
                exchange.status = result.status
        return result

    async def _exchange_on_open_connection(
        self, request: ApiRequest, last_check: _LastCheck | None
    ) -> ApiResponse | KallyAIError:
        """Send a request once; a GET on the first idle connection that KallyAI has not closed."""
        while True:
            try:
                return await self._exchange(request, last_check)
            except httpcore2.ConnectionNotAvailable:
                if request.method == "POST":  # it has a connection of its own
                    raise
                # Nothing was sent, and this connection is no longer among the idle ones. Before
                # httpcore2 2.17, `has_expired` told it.
                continue

    async def _exchange(
        self, request: ApiRequest, last_check: _LastCheck | None
    ) -> ApiResponse | KallyAIError:
        """Send a request once.

        The error is returned: raised, its context would be the library's, with the token.

        Raises `httpcore2.ConnectionNotAvailable` if KallyAI has closed the connection meanwhile.
        """
        connection = await self._take_idle() if request.method == "GET" else None
        if connection is None:
            try:
                connection = await self._new_connection(last_check)
            except _FAILURES as error:
                return self._error(error, is_sent=False)
        try:
            async with asyncio.timeout(request.seconds):
                response = await _read(await connection.handle_async_request(self._asked(request)))
        except _FAILURES as error:
            await _close(connection)
            return self._error(error, is_sent=True)
        except BaseException:
            await _close(connection)
            raise
        await self._keep_or_close(connection, request)
        return response

    async def _new_connection(self, last_check: _LastCheck | None) -> Any:
        """A connection, after the last check: nothing was sent on it yet."""
        async with asyncio.timeout(CONNECT_SECONDS):
            connection = await self._network.open()
            if last_check is None:
                return connection
            try:
                await last_check()
            except BaseException:
                await _close(connection)
                raise
            return connection

    async def _keep_or_close(self, connection: Any, request: ApiRequest) -> None:
        """Keep a connection for the next GET, if it can be used again."""
        may_be_used_again = request.method == "GET" and connection.is_idle()
        if may_be_used_again and not self._is_closed:
            self._idle.append(connection)
        else:
            await _close(connection)

    async def _take_idle(self) -> Any:
        """A connection that was used for a GET and has not expired; None without one."""
        while self._idle:
            connection = self._idle.popleft()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    def _asked(self, request: ApiRequest) -> httpcore2.Request:
        headers = [("Host", self._host), *request.headers.items()]
        if request.method == "POST":
            headers.append(("Content-Length", str(len(request.body))))
        url = url_of(self._server, self._path + request.target)
        content = httpx2.ByteStream(request.body)
        return httpcore2.Request(request.method, url, headers=headers, content=content)

    def _error(self, error: BaseException, *, is_sent: bool) -> KallyAIError:
        """The error for a failed connection, without the message of `error`, which may quote a
        header.
        """
        host = self._host
        reason = _reason(error, is_sent=is_sent)
        if is_sent:
            return ResponseLostError(
                f"No complete answer came from KallyAI at {host}: {reason}; it may have acted on "
                "the request"
            )
        through = " through the proxy" if self._network.proxy else ""
        return NotConnectedError(
            f"KallyAI at {host} can't be reached{through}: {reason}; nothing was sent"
        )


async def _close(connection: Any) -> None:
    """Close a connection, also where the request was canceled."""
    with anyio.CancelScope(shield=True):
        await connection.aclose()


def template_of(target: str) -> str:
    """The path of a target, without its query, and with a placeholder for the id of a call."""
    path = target.partition("?")[0]
    return re.sub(r"^/v1/calls/[^/]+", "/v1/calls/{call_id}", path)


def _may_pass(result: ApiResponse | KallyAIError) -> bool:
    """Whether the same GET may succeed a moment later."""
    return isinstance(result, KallyAIError) or result.status in _STATUSES_THAT_MAY_PASS


def _pause_of(result: ApiResponse | KallyAIError) -> float | None:
    """The seconds that KallyAI asks a client to wait; None if it does not say."""
    return retry_after(result.headers) if isinstance(result, ApiResponse) else None


async def _read(response: httpcore2.Response) -> ApiResponse:
    """Read a response up to `MAX_BODY`, after which its JSON is not complete."""
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
    }
    body = bytearray()
    try:
        if response.status == httpx2.codes.SWITCHING_PROTOCOLS:
            raise httpcore2.RemoteProtocolError("no HTTP response")
        async for chunk in cast("AsyncIterable[bytes]", response.stream):
            body += chunk
            if len(body) > MAX_BODY:
                break
    finally:
        await response.aclose()
    content = bytes(body)
    if headers.get("content-encoding", "").lower() == "gzip":
        content = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content, MAX_BODY)
    return ApiResponse(response.status, headers, content)


def _reason(error: BaseException, *, is_sent: bool) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, zlib.error):
        return "what came can't be decoded"
    if is_sent:
        return "the connection broke"
    if isinstance(error, httpcore2.ProxyError):
        return "the proxy refused"
    if isinstance(error, ssl.SSLError):
        return "its TLS certificate or handshake is not acceptable"
    if isinstance(error, socket.gaierror):
        return "its name is not known here"
    if isinstance(error.__cause__, ConnectionRefusedError):
        return "the connection was refused"
    return "no connection could be made"
