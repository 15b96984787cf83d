"""Transports with time-outs, retries, proxies, and limits; and the errors for failed connections."""

import asyncio
import logging
import socket
import ssl
import traceback
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import httpx
from httpx_retries import Retry, RetryTransport

from kallyai_mcp.api.errors import KallyAIError, NotConnectedError, ResponseLostError
from kallyai_mcp.api.http11_transport import Http11Transport, SocketOption
from kallyai_mcp.api.response_headers import retry_after
from kallyai_mcp.api.system_network import proxy_for, tls_context, unsupported_proxy
from kallyai_mcp.urls import is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)

MAX_BODY = 5_000_000
"""The most bytes of a body that are read, to limit the memory. A page of 200 calls is far smaller."""

RETRIES = 3
"""The most retries of a GET, after the first attempt."""

MAX_RETRY_WAIT = 30.0
"""The most seconds that a GET waits between attempts, in total. The client of a tool gives up after 60 s or less."""

_NOTHING_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
)
"""The errors after which it is certain that nothing was sent."""

# Without `ReadTimeout`: three more waits of 45 s would take minutes.
_RETRIED = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
)


@dataclass(frozen=True)
class Timeouts:
    """Time-outs in seconds.

    Attributes:
        connect: For name resolution, connection, and TLS together.
        read: For each part of a response. A cold start of the service takes up to 30 s.
        call: In place of `read` for `POST /v1/calls`, which is answered when the phone call has ended.
        rest: For all other steps. A whole request may take the sum of `connect`, `read` or `call`, and `rest`.
    """

    connect: float = 10.0
    read: float = 45.0
    call: float = 1800.0
    rest: float = 40.0


class RetryTooLongError(Exception):
    """The `Retry-After` of `response` exceeds `MAX_RETRY_WAIT`."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.response = response


class BoundedRetry(Retry):
    """A `Retry` that gives up at once if the `Retry-After` of a response is too long."""

    async def asleep(self, response: httpx.Response | Exception) -> None:
        """Wait before the next attempt; raises `RetryTooLongError` if all waits would exceed `MAX_RETRY_WAIT`."""
        if isinstance(response, httpx.Response):
            seconds = retry_after(response.headers)
            if seconds is not None and seconds > MAX_RETRY_WAIT - self.elapsed_sleep:
                raise RetryTooLongError(response)
        await super().asleep(response)


class BoundedTransport(httpx.AsyncBaseTransport):
    """Reads each response to its end, within limits of time and size, so that retries cover incomplete bodies too.

    The limit of time is the sum of the request's time-outs. The time-out for reading alone starts again with every
    byte, so a slow server could delay a response for ever.

    A response has its decoded body in `extensions["body"]`. If that was cut at `MAX_BODY`, `extensions["is_complete"]`
    is False.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request once.

        Raises:
            httpx.TransportError: There is no complete response.
            httpx.DecodingError: The body can't be decoded by its Content-Encoding.
        """
        seconds = sum(request.extensions["timeout"].values())
        try:
            async with asyncio.timeout(seconds):  # anyio's takes 2 % of the time of a request
                return await self._exchange(request)
        except TimeoutError:
            raise httpx.ReadTimeout("no complete response in time", request=request) from None

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        request.extensions.pop("has_response", None)  # from the previous attempt
        response = await self._inner.handle_async_request(request)
        request.extensions["has_response"] = True
        response.request = request
        is_encoded = "Content-Encoding" in response.headers
        stream = cast("httpx.AsyncByteStream", response.stream)
        body, is_complete = bytearray(), True
        try:
            # httpx declares iterators, but they are generators, which must be closed when they are not exhausted.
            chunks = aiter(response.aiter_bytes() if is_encoded else stream)
            async with aclosing(cast("AsyncGenerator[bytes, None]", chunks)):
                async for chunk in chunks:
                    body += chunk
                    if len(body) > MAX_BODY:
                        is_complete = False
                        break
        finally:
            await stream.aclose()
        response.extensions |= {"body": bytes(body), "is_complete": is_complete}
        return response

    async def aclose(self) -> None:
        """Closes the inner transport."""
        await self._inner.aclose()


def in_process(app: "ASGIApp") -> httpx.AsyncBaseTransport:
    """A transport to an ASGI app in this process.

    An exception of the app becomes an error of a failed connection, or is ignored after the complete response.
    """

    async def app_as_server(scope: "Scope", receive: "Receive", send: "Send") -> None:
        is_complete = False

        async def watched_send(message: "Message") -> None:
            nonlocal is_complete
            await send(message)
            is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await app(scope, receive, watched_send)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            # Without the message of the exception, which may quote a token.
            _log.warning(
                "The API in this process failed: %s in %s, line %s", type(error).__name__, where.name, where.lineno
            )
            if not is_complete:
                raise httpx.ReadError("the API in this process failed") from error
        else:
            if not is_complete:
                raise httpx.RemoteProtocolError("the API in this process sent no complete response")

    return _InProcess(app_as_server)


class _InProcess(httpx.ASGITransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if (before_write := request.extensions.get("before_write")) is not None:
            await before_write()
        return await super().handle_async_request(request)


def over_network(base_url: httpx.URL) -> httpx.AsyncBaseTransport:
    """A transport to `base_url`, through the proxy of the environment or the system unless the host is this machine.

    Raises:
        ValueError: The environment has a proxy of an unsupported kind, or certificates that can't be read.
    """
    try:
        # For http, an empty context avoids loading all certificates.
        is_http = base_url.scheme == "http"
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if is_http else tls_context()
        return Http11Transport(tls, proxy=proxy_for(base_url), socket_options=_socket_options())
    except OSError:
        raise ValueError("SSL_CERT_FILE or SSL_CERT_DIR in the environment names nothing that can be read") from None
    except (ValueError, ImportError):
        proxy = unsupported_proxy() or "the proxy in the environment"
        raise ValueError(f"{proxy} can't be used; it must be an http or https proxy") from None


def _socket_options() -> Iterator[SocketOption]:
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


def with_retries(transport: httpx.AsyncBaseTransport, backoff: float) -> httpx.AsyncBaseTransport:
    """A transport with the limits of `BoundedTransport` that sends a GET again after a failure.

    Failures are 429, 502, 503, 504, and failed connections.

    Args:
        transport: The transport that sends each request.
        backoff: Seconds. Without `Retry-After`, the waits are random, up to 2, 4, and 8 times this.
    """
    retry = BoundedRetry(
        total=RETRIES,
        allowed_methods=["GET"],
        status_forcelist=[429, 502, 503, 504],
        retry_on_exceptions=_RETRIED,
        backoff_factor=backoff,
        max_backoff_wait=MAX_RETRY_WAIT,
        total_timeout=MAX_RETRY_WAIT,
    )
    return RetryTransport(BoundedTransport(transport), retry=retry)


def connection_error(error: httpx.HTTPError | httpx.InvalidURL, host: str, *, has_response: bool) -> KallyAIError:
    """The error for a failed connection: `NotConnectedError` if nothing was sent, else `ResponseLostError`.

    Args:
        error: The error of httpx. Its message is not used, because it may quote a header.
        host: The host (and port), for the message.
        has_response: Whether there was a response, whose redirect then failed: then the request was sent.
    """
    if isinstance(error, _NOTHING_SENT) and not has_response:
        proxy = None if is_loopback(host) else unsupported_proxy()
        hint = f". This machine uses {proxy}, which is not supported: set HTTPS_PROXY to an http proxy" if proxy else ""
        return NotConnectedError(f"KallyAI at {host} can't be reached: {_reason(error)}; nothing was sent{hint}")
    reason = "it took too long" if isinstance(error, httpx.TimeoutException) else "the connection broke"
    if isinstance(error, httpx.DecodingError):
        reason = "what came can't be decoded"
    return ResponseLostError(
        f"No complete answer came from KallyAI at {host}: {reason}; it may have acted on the request"
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "it took too long"
    if isinstance(error, httpx.ProxyError):
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
