"""Sends requests by httpx2, within limits of time and size, as this machine's settings want connections to be.

These are its certificates, its proxy, and the options of a socket. Also the errors for failed connections.
"""

import logging
import random
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.request import getproxies, proxy_bypass

import anyio
import httpx2

from kallyai_mcp.api.errors import KallyAIError, NotConnectedError, ResponseLostError
from kallyai_mcp.api.responses import ApiResponse, retry_after
from kallyai_mcp.urls import is_loopback

_log = logging.getLogger(__name__)

MAX_BODY = 5_000_000
"""The most bytes of a body that are read, to limit the memory. A page of 200 calls is far smaller."""

RETRIES = 3
"""The most retries of a GET, after the first attempt."""

MAX_RETRY_WAIT = 30.0
"""The most seconds that a GET waits between attempts, in total. The client of a tool gives up after 60 s or less."""

MOST_IDLE = 200
"""The most connections that are kept for the next GET. After five seconds httpx2 would open a new one in its place."""

_NOTHING_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)
"""The errors after which it is certain that nothing was sent."""

# Without `ReadTimeout`: three more waits of 45 s would take minutes.
_MAY_PASS = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ReadError, httpx2.RemoteProtocolError)
_STATUSES_THAT_MAY_PASS = (429, 502, 503, 504)


@dataclass(frozen=True)
class Timeouts:
    """Time-outs in seconds.

    Attributes:
        connect: For everything before the request is written: name resolution, proxy, TLS, and the last check.
        read: For each part of a response. A cold start of the service takes up to 30 s.
        call: In place of `read` for `POST /v1/calls`, which is answered when the phone call has ended.
        rest: What a whole response may take longer than `read` or `call`.
    """

    connect: float = 10.0
    read: float = 45.0
    call: float = 1800.0
    rest: float = 40.0


def _socket_options() -> Iterator[tuple[int, int, int]]:
    """Options for TCP keep-alive every minute, because many routers drop a connection that is silent during a call.

    On Linux, also the option that ends a connection on which nothing is confirmed for a minute. Without it, the system
    repeats a lost request for a quarter of an hour, so a call could be placed that much later.
    """
    yield socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1
    # Linux and Windows call the idle time TCP_KEEPIDLE, macOS TCP_KEEPALIVE.
    for names in (("TCP_KEEPIDLE", "TCP_KEEPALIVE"), ("TCP_KEEPINTVL",)):
        option = next((getattr(socket, name) for name in names if hasattr(socket, name)), None)
        if option is not None:
            yield socket.IPPROTO_TCP, option, 60
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        yield socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000


_SOCKET_OPTIONS = tuple(_socket_options())


class Transport:
    """Sends requests, and reads each response to its end.

    A POST has a connection of its own. On one that was used before, the server may have sent a second response, or may
    just be closing it, and nobody would know whether a call was placed. A GET uses the connection of an earlier GET.

    Args:
        connector: Makes a transport of httpx2, which is used for one request at a time: its pool looks at every one of
            its connections for each request.
        backoff: Seconds. Between attempts, a GET waits for `Retry-After`, or a random time of up to 2, 4, and 8 times
            this.
    """

    def __init__(self, connector: Callable[[], httpx2.AsyncBaseTransport], backoff: float) -> None:
        self._connector = connector
        self._idle: list[httpx2.AsyncBaseTransport] = []
        """Each has a connection that was used for a GET."""
        self._backoff = backoff

    async def aclose(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            await self._idle.pop().aclose()

    async def send(self, request: httpx2.Request) -> ApiResponse:
        """Send a request, and a GET again after 429, 502, 503, 504, and failed connections.

        Raises:
            httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError: Nothing was sent.
            httpx2.RequestError: There is no complete response, but the request may have been sent.
        """
        retries, left = RETRIES if request.method == "GET" else 0, MAX_RETRY_WAIT
        while True:
            pause = None
            try:
                response = await self._exchange(request)
            except _MAY_PASS:
                if retries == 0:
                    raise
            else:
                pause = retry_after(response.headers)
                if retries == 0 or response.status not in _STATUSES_THAT_MAY_PASS or (pause or 0) > left:
                    return response
            if pause is None:
                pause = min(left, random.uniform(0, self._backoff * 2 ** (RETRIES + 1 - retries)))  # noqa: S311
            retries -= 1
            left -= pause
            await anyio.sleep(pause)

    async def _exchange(self, request: httpx2.Request) -> ApiResponse:
        """Send a request once. When there is a connection, before the first byte, its `before_write` is awaited.

        If it raises an error, nothing is sent, and the error is raised.
        """
        timeouts, before_write = request.extensions["timeout"], request.extensions.get("before_write")
        streams: list[Any] = []
        is_connected = is_sent = is_kept = False
        is_get = request.method == "GET"
        transport = self._idle.pop() if is_get and self._idle else self._connector()

        async def trace(event: str, info: dict[str, Any]) -> None:
            nonlocal is_connected, is_sent
            if event == "connection.connect_tcp.complete":
                streams.append(info["return_value"])
                opened = info["return_value"].get_extra_info("socket")
                for option in _SOCKET_OPTIONS:  # here, because httpx2 sets none for connections to a proxy
                    opened.setsockopt(*option)
            elif event.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
                is_connected = True
                if before_write is not None:
                    await before_write()
                limit.deadline = anyio.current_time() + timeouts["read"] + timeouts["rest"]
                is_sent = True

        request.extensions["trace"] = trace
        try:
            with anyio.fail_after(timeouts["connect"]) as limit:
                response = await _read(await transport.handle_async_request(request))
        except TimeoutError:
            raise (httpx2.ReadTimeout if is_sent else httpx2.ConnectTimeout)("not in time") from None
        except (httpx2.TransportError, OSError, ValueError) as error:
            if not is_connected and not isinstance(error, _NOTHING_SENT):
                raise httpx2.ConnectError("no connection") from error
            if is_sent and isinstance(error, OSError):  # httpx2 lets some errors of TLS pass
                raise httpx2.ReadError("the connection broke") from error
            raise
        else:
            if is_kept := is_get and len(self._idle) < MOST_IDLE:
                self._idle.append(transport)
            return response
        finally:
            del request.extensions["trace"]
            if not is_kept:
                with anyio.CancelScope(shield=True):
                    await transport.aclose()
                    for stream in streams:  # httpx2 leaves one open whose TLS handshake was canceled
                        await stream.aclose()


async def _read(response: httpx2.Response) -> ApiResponse:
    """Read a response up to `MAX_BODY`, after which its JSON is not complete."""
    body = bytearray()
    try:
        if response.is_informational:
            raise httpx2.RemoteProtocolError("no HTTP response")
        async with aclosing(response.aiter_bytes()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > MAX_BODY:
                    break
    finally:
        await response.aclose()
    return ApiResponse(response.status_code, response.headers, bytes(body))


def connector(base_url: httpx2.URL) -> Callable[[], httpx2.AsyncBaseTransport]:
    """A function that makes an HTTP/1.1 transport to `base_url`, through the proxy of the environment or the system.

    The certificates are those of the system, where a company that inspects traffic puts its own, or those of
    SSL_CERT_FILE or SSL_CERT_DIR.

    Raises:
        ValueError: The environment has a proxy of an unsupported kind, or certificates that can't be read.
    """
    try:
        # For http, an empty context avoids loading all certificates.
        is_http = base_url.scheme == "http"
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if is_http else httpx2.create_ssl_context()
    except OSError:
        raise ValueError("SSL_CERT_FILE or SSL_CERT_DIR in the environment names nothing that can be read") from None
    address = _proxy_address(base_url)
    proxy = _proxy(address, tls) if address else None
    return lambda: httpx2.AsyncHTTPTransport(verify=tls, proxy=proxy)


def _proxy_address(base_url: httpx2.URL) -> str | None:
    """The address of the proxy for `base_url`, from the environment or the system; None for a direct connection."""
    if base_url.scheme != "https" or is_loopback(base_url.host) or proxy_bypass(base_url.host):
        return None
    proxies = getproxies()
    return proxies.get("https") or proxies.get("all")


def _proxy(address: str, tls: ssl.SSLContext) -> httpx2.Proxy:
    try:
        url = httpx2.URL(address if "://" in address else f"http://{address}")
    except httpx2.InvalidURL:
        url = httpx2.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("the proxy in the environment can't be used; it must be an http or https proxy")
    return httpx2.Proxy(url, ssl_context=tls if url.scheme == "https" else None)


class InProcess(httpx2.ASGITransport):
    """A transport to an ASGI app in this process. An exception of the app becomes an error of the connection."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The complete response of the app."""
        await request.extensions["trace"]("asgi.send_request_headers.started", {"request": request})
        try:
            return await super().handle_async_request(request)
        except Exception as error:
            _log.warning("The API in this process failed", exc_info=error)
            raise httpx2.ReadError("the API in this process failed") from error


def connection_error(error: httpx2.HTTPError, base_url: httpx2.URL) -> KallyAIError:
    """The error for a failed connection, without the message of `error`, which may quote a header."""
    host = base_url.netloc.decode("ascii")
    if isinstance(error, _NOTHING_SENT):
        through = " through the proxy" if _proxy_address(base_url) else ""
        return NotConnectedError(f"KallyAI at {host} can't be reached{through}: {_reason(error)}; nothing was sent")
    reason = "it took too long" if isinstance(error, httpx2.TimeoutException) else "the connection broke"
    if isinstance(error, httpx2.DecodingError):
        reason = "what came can't be decoded"
    return ResponseLostError(
        f"No complete answer came from KallyAI at {host}: {reason}; it may have acted on the request"
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "it took too long"
    if isinstance(error, httpx2.ProxyError):
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
