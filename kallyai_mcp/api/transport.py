"""Sends requests over connections of httpcore2, the lower half of httpx2, within limits of time and size.

A client and a pool of httpx2 would do for each request what is the same for all of them, or what the reference does not
have, such as cookies; that is half of the time of a request. Connections are as this machine's settings want them: its
certificates, its proxy, and the options of a socket.
"""

import logging
import random
import select
import socket
import ssl
import time
import zlib
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.request import getproxies, proxy_bypass

import anyio
import httpcore2
import httpx2
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream

from kallyai_mcp.api.errors import KallyAIError, NotConnectedError, ResponseLostError
from kallyai_mcp.api.responses import ApiResponse, retry_after
from kallyai_mcp.logs import count
from kallyai_mcp.urls import is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_log = logging.getLogger(__name__)

MAX_BODY = 5_000_000
"""The most bytes of a body that are read, to limit the memory. A page of 200 calls is far smaller."""

RETRIES = 3
"""The most retries of a GET, after the first attempt."""

RETRY_SECONDS = 30.0
"""A retry of a GET begins within so many seconds after the first attempt. A tool's client gives up after 60 or less."""

_IDLE_SECONDS = 5.0
"""How long a connection may be idle until it is used again; many servers close theirs soon after that."""

_STATUSES_THAT_MAY_PASS = (429, 502, 503, 504)

_FAILURES = (
    anyio.BrokenResourceError,
    anyio.EndOfStream,  # in a TLS handshake
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.TimeoutException,
    OSError,  # time-outs, and some errors of TLS
    ValueError,  # a host name that is none
    zlib.error,
)


@dataclass(frozen=True)
class Timeouts:
    """Time-outs in seconds.

    Attributes:
        connect: For everything before the request is written: name resolution, proxy, TLS, and the last check.
        response: From then to the end of the response. A cold start of the service takes up to 30 s.
        call: In place of `response` for `POST /v1/calls`, which is answered when the phone call has ended.
    """

    connect: float = 10.0
    response: float = 45.0
    call: float = 1800.0


@dataclass(frozen=True)
class ApiRequest:
    """An HTTP request, independent of the HTTP library.

    Attributes:
        target: The path and the query, without the path of the API's base URL.
        seconds: The most seconds from its first byte to the end of the response.
        secrets: Tokens and codes in it, which must not be in an error.
    """

    method: Literal["GET", "POST"]
    target: str
    headers: dict[str, str] = field(repr=False)
    seconds: float
    body: bytes = field(default=b"", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


LastCheck = Callable[[], Awaitable[None]]
"""Awaited when there is a connection, before the first byte of a request. If it raises an error, nothing is sent."""


_TCP_OPTIONS = {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 60, "TCP_USER_TIMEOUT": 60_000}
"""The options of a connection that this system has; macOS calls the first one as the second.

Keep-alive is sent every minute, because many routers drop a connection that is silent during a call. The last option,
of Linux, ends a connection on which nothing is confirmed for a minute. Without it, the system repeats a lost request
for a quarter of an hour, so a call could be placed that much later.
"""

_SOCKET_OPTIONS = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *((socket.IPPROTO_TCP, getattr(socket, name), to) for name, to in _TCP_OPTIONS.items() if hasattr(socket, name)),
]


class Transport:
    """Sends requests, and reads each response to its end.

    A POST has a connection of its own. On one that was used before, the server may have sent a second response, or may
    just be closing it, and nobody would know whether a call was placed. A GET uses the connection of an earlier GET.

    Args:
        base_url: The base URL of the API.
        app: An ASGI app in this process to use in place of the network.
        backoff: Seconds. Between attempts, a GET waits for `Retry-After`, or a random time of up to 2, 4, and 8 times
            this.
        connect_seconds: `Timeouts.connect`.

    Raises:
        ValueError: `base_url` is none, or the environment has a proxy of an unsupported kind, or certificates that
            can't be read.
    """

    def __init__(self, base_url: str, *, app: "ASGIApp | None", backoff: float, connect_seconds: float) -> None:
        try:
            self._url = httpx2.URL(base_url)
        except httpx2.InvalidURL:
            raise ValueError("not a web address; it should look like https://api.kallyai.com") from None
        self._host, self._path = self._url.netloc.decode("ascii"), self._url.raw_path.decode("ascii").rstrip("/")
        self._to = _address(self._url)
        self._proxy = None if app is not None else _proxy_address(self._url)
        self._connect = _connector(self._url, self._proxy) if app is None else partial(InProcess, app)
        self._backoff = backoff
        self._connect_seconds = connect_seconds
        self._idle = deque[Any]()
        """Connections that were used for a GET. The oldest is used first, so that those that expired are closed."""

    async def aclose(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            await self._idle.pop().aclose()

    async def send(self, request: ApiRequest, last_check: LastCheck | None = None) -> ApiResponse:
        """Send a request, and a GET again after 429, 502, 503, 504, and failed connections.

        Raises:
            NotConnectedError: Nothing was sent.
            ResponseLostError: There is no complete response, but the request may have been sent.
        """
        until, retries = time.monotonic() + RETRY_SECONDS, RETRIES if request.method == "GET" else 0
        while True:
            result = await self._exchange(request, last_check)
            pause = None
            if isinstance(result, ApiResponse):
                if result.status not in _STATUSES_THAT_MAY_PASS:
                    break
                pause = retry_after(result.headers)
            if pause is None:
                pause = random.uniform(0, self._backoff * 2 ** (RETRIES + 1 - retries))  # noqa: S311
            if retries == 0 or time.monotonic() + pause > until:
                break
            retries -= 1
            await anyio.sleep(pause)
        if isinstance(result, KallyAIError):
            count("kallyai.api.requests", method=request.method, status=result.code)
            raise result
        count("kallyai.api.requests", method=request.method, status=result.status)
        _log.info("%s %s%s: %d", request.method, self._url, request.target, result.status)
        return result

    async def _exchange(self, request: ApiRequest, last_check: LastCheck | None) -> ApiResponse | KallyAIError:
        """Send a request once. The error is returned: raised, its context would be the library's, with the token."""
        is_get = request.method == "GET"
        used = await self._take_idle() if is_get else None
        is_sent, is_kept = used is not None, False

        async def trace(event: str, info: dict[str, Any]) -> None:
            nonlocal is_sent
            if event.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
                if last_check is not None:
                    await last_check()
                limit.deadline = anyio.current_time() + request.seconds
                is_sent = True

        connection = used or self._connect()
        try:
            with anyio.fail_after(request.seconds if used else self._connect_seconds) as limit:
                asked = self._asked(request, {} if used else {"trace": trace})
                response = await _read(await connection.handle_async_request(asked), request.secrets)
            is_kept = is_get and connection.is_idle()
        except _FAILURES as error:
            return self._error(error, is_sent=is_sent)
        else:
            return response
        finally:
            if is_kept:
                self._idle.append(connection)
            else:
                with anyio.CancelScope(shield=True):
                    await connection.aclose()

    async def _take_idle(self) -> Any:
        """A connection that was used for a GET and is still open; None without one."""
        while self._idle:
            connection = self._idle.popleft()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    def _asked(self, request: ApiRequest, extensions: dict[str, Any]) -> httpcore2.Request:
        headers = [("Host", self._host), *request.headers.items()]
        if request.method == "POST":
            headers.append(("Content-Length", str(len(request.body))))
        url, content = httpcore2.URL(**self._to, target=self._path + request.target), httpx2.ByteStream(request.body)
        return httpcore2.Request(request.method, url, headers=headers, content=content, extensions=extensions)

    def _error(self, error: BaseException, *, is_sent: bool) -> KallyAIError:
        """The error for a failed connection, without the message of `error`, which may quote a header."""
        host, reason = self._host, _reason(error, is_sent=is_sent)
        if is_sent:
            return ResponseLostError(
                f"No complete answer came from KallyAI at {host}: {reason}; it may have acted on the request"
            )
        through = " through the proxy" if self._proxy else ""
        return NotConnectedError(f"KallyAI at {host} can't be reached{through}: {reason}; nothing was sent")


async def _read(response: httpcore2.Response, secrets: tuple[str, ...]) -> ApiResponse:
    """Read a response up to `MAX_BODY`, after which its JSON is not complete."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
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
    return ApiResponse(response.status, headers, content, secrets)


def _proxy_address(base_url: httpx2.URL) -> str | None:
    """The address of the proxy for `base_url`, from the environment or the system; None for a direct connection."""
    if base_url.scheme != "https" or is_loopback(base_url.host) or proxy_bypass(base_url.host):
        return None
    proxies = getproxies()
    return proxies.get("https") or proxies.get("all")


def _connector(base_url: httpx2.URL, proxy_address: str | None) -> Callable[[], httpcore2.AsyncConnectionInterface]:
    """A function that makes an HTTP/1.1 connection to `base_url`, which is opened by its first request.

    The certificates are those of the system, where a company that inspects traffic puts its own, or those of
    SSL_CERT_FILE or SSL_CERT_DIR.
    """
    try:
        tls = httpcore2.default_ssl_context() if base_url.scheme == "https" else None
    except OSError:
        raise ValueError("SSL_CERT_FILE or SSL_CERT_DIR in the environment names nothing that can be read") from None
    proxy = None if proxy_address is None else _proxy(proxy_address, tls)
    pool = httpcore2.AsyncConnectionPool(
        ssl_context=tls, proxy=proxy, keepalive_expiry=_IDLE_SECONDS, network_backend=_Network()
    )
    return partial(pool.create_connection, httpcore2.URL(**_address(base_url)).origin)


def _address(url: httpx2.URL) -> dict[str, Any]:
    return {"scheme": url.raw_scheme, "host": url.raw_host, "port": url.port}


def _proxy(address: str, tls: ssl.SSLContext | None) -> httpcore2.Proxy:
    try:
        url = httpx2.URL(address if "://" in address else f"http://{address}")
    except httpx2.InvalidURL:
        url = httpx2.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("the proxy in the environment can't be used; it must be an http or https proxy")
    return httpcore2.Proxy(
        httpcore2.URL(**_address(url)),
        auth=(url.username.encode(), url.password.encode()) if url.username else None,
        ssl_context=tls if url.scheme == "https" else None,
    )


class _Network(httpcore2.AsyncNetworkBackend):
    """Opens connections with `_SOCKET_OPTIONS`; httpcore2 would set none of those to a proxy."""

    async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        stream = await anyio.connect_tcp(host, port)
        opened = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - not Django's
        for option in _SOCKET_OPTIONS:
            opened.setsockopt(*option)
        return _Stream(stream, opened)


class _Stream(httpcore2.AsyncNetworkStream):
    """A connection over TCP or TLS. Unlike httpcore2's own, it has no time limit for each read and write."""

    def __init__(self, stream: ByteStream, opened: socket.socket) -> None:
        self._stream, self._socket = stream, opened

    async def read(self, max_bytes: int, *_: Any, **__: Any) -> bytes:
        try:
            return await self._stream.receive(max_bytes)
        except anyio.EndOfStream:
            return b""

    async def write(self, buffer: bytes, *_: Any, **__: Any) -> None:
        try:
            await self._stream.send(buffer)
        except anyio.BrokenResourceError as error:
            raise httpcore2.WriteError from error  # the server may have answered all the same

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, *_: Any, **__: Any
    ) -> httpcore2.AsyncNetworkStream:
        try:
            tls = await TLSStream.wrap(
                self._stream, hostname=server_hostname, ssl_context=ssl_context, standard_compatible=False
            )
        except BaseException:
            await anyio.aclose_forcefully(self._stream)  # httpcore2 does not close it
            raise
        return _Stream(tls, self._socket)

    def get_extra_info(self, info: str) -> Any:
        """`is_readable`: the server has sent more, or has closed the connection."""
        if info != "is_readable":
            return None
        if not hasattr(select, "poll"):  # Windows
            return bool(select.select([self._socket], [], [], 0)[0])
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        return bool(waiting.poll(0))


class InProcess:
    """A connection to an ASGI app in this process. An exception of the app becomes an error of the connection."""

    def __init__(self, app: "ASGIApp") -> None:
        self._transport = httpx2.ASGITransport(app)

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        """The complete response of the app."""
        await request.extensions["trace"]("asgi.send_request_headers.started", {"request": request})
        url, body = bytes(request.url).decode("ascii"), cast("httpx2.ByteStream", request.stream)
        asked = httpx2.Request(request.method.decode("ascii"), url, headers=request.headers, stream=body)
        try:
            response = await self._transport.handle_async_request(asked)
        except Exception as error:
            _log.warning("The API in this process failed", exc_info=error)
            raise httpcore2.ReadError from error
        return httpcore2.Response(response.status_code, headers=response.headers.raw, content=response.stream)

    def is_idle(self) -> bool:
        """Whether the next request may use this connection."""
        return False

    async def aclose(self) -> None:
        """Nothing is open."""


def _reason(error: BaseException, *, is_sent: bool) -> str:
    if isinstance(error, TimeoutError | httpcore2.TimeoutException):
        return "it took too long"
    if isinstance(error, zlib.error):
        return "what came can't be decoded"
    if is_sent:
        return "the connection broke"
    if isinstance(error, httpcore2.ProxyError):
        return "the proxy refused"
    for cause in causes(error):
        if isinstance(cause, ssl.SSLError):
            return "its TLS certificate or handshake is not acceptable"
        if isinstance(cause, socket.gaierror):
            return "its name is not known here"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
    return "no connection could be made"


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error, its causes, and the members of exception groups among them."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from causes(member)
    cause = error.__cause__ or error.__context__
    if cause is not None:
        yield from causes(cause)
