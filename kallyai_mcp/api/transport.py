"""What carries requests: time-outs, retries, proxies, limits, and what a broken connection means."""

import logging
import socket
import ssl
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast
from urllib.request import getproxies, proxy_bypass

import anyio
import httpx
from httpx_retries import Retry, RetryTransport

from kallyai_mcp.api.aiohttp_transport import Network, SocketOption
from kallyai_mcp.api.error_responses import retry_after
from kallyai_mcp.api.errors import KallyAIError, NotConnectedError, ResponseLostError
from kallyai_mcp.urls import is_loopback

logger = logging.getLogger(__name__)

MAX_BODY = 5_000_000
"""Bytes that are read of one body: a page of 200 calls is far below it, and memory is not the service's to fill."""

RETRIES = 3
"""How often a GET is tried again; four tries in all."""

MAX_RETRY_WAIT = 30.0
"""Seconds that a GET waits between tries, all waits together: longer, and whoever asked has given up."""

_NOTHING_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
)
# Not a read time-out: after 45 s it is no hiccup, and three more would keep the caller for minutes.
_WORTH_A_RETRY = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Message, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Timeouts:
    """How long to wait for what, in seconds.

    Attributes:
        connect: For name, connection and TLS together.
        write: For each part of a request to leave.
        pool: For a free connection; there is no limit of connections, so this only guards against one being added.
        read: For each part of an answer: the service scales to zero, and a cold start takes up to 30 s.
        call: The same for `POST /v1/calls`, which answers when the phone call has ended.
    """

    connect: float = 10.0
    write: float = 30.0
    pool: float = 10.0
    read: float = 45.0
    call: float = 1800.0

    def ordinary(self) -> httpx.Timeout:
        """For every request but a call."""
        return httpx.Timeout(connect=self.connect, write=self.write, pool=self.pool, read=self.read)

    def calling(self) -> httpx.Timeout:
        """For `POST /v1/calls`."""
        return httpx.Timeout(connect=self.connect, write=self.write, pool=self.pool, read=self.call)


class RetryTooLongError(Exception):
    """The service asks for a longer wait than anybody has here; carries its answer."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.response = response


class Patience(Retry):
    """Waits as `Retry` does, but gives an answer back at once when its Retry-After is too long."""

    async def asleep(self, response: httpx.Response | Exception) -> None:
        """Waits before the next try.

        Raises:
            RetryTooLongError: What is left of `MAX_RETRY_WAIT` is shorter than what the service asks for.
        """
        if isinstance(response, httpx.Response):
            asked = retry_after(response.headers)
            if asked is not None and asked > MAX_RETRY_WAIT - self.elapsed_sleep:
                raise RetryTooLongError(response)
        await super().asleep(response)


class BoundedTransport(httpx.AsyncBaseTransport):
    """Reads every answer to its end, within a time and a length, so that a retry covers a broken body too.

    One try may take its connect, write, pool and read time-outs together: each of httpx's own starts anew with every
    byte, and a server that drips could hold on for ever. A body longer than `MAX_BODY` is cut there, and the response
    has `extensions["whole"]` False.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends one request, once.

        Raises:
            httpx.TransportError: There is no complete answer.
            httpx.DecodingError: The answer's Content-Encoding is not what it says.
        """
        seconds = sum(filter(None, request.extensions["timeout"].values()))
        try:
            with anyio.fail_after(seconds):
                return await self._exchange(request)
        except TimeoutError:
            raise httpx.ReadTimeout("no complete answer in time", request=request) from None

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        request.extensions.pop("answered", None)  # of the try before
        response = await self._inner.handle_async_request(request)
        request.extensions["answered"] = True
        response.request = request
        packed = "Content-Encoding" in response.headers
        stream = cast("httpx.AsyncByteStream", response.stream)
        body, whole = bytearray(), True
        try:
            # httpx declares iterators; what they are are generators, which want closing when they are left early.
            chunks = aiter(response.aiter_bytes() if packed else stream)
            async with aclosing(cast("AsyncGenerator[bytes, None]", chunks)):
                async for chunk in chunks:
                    body += chunk
                    if len(body) > MAX_BODY:
                        whole = False
                        break
        finally:
            await stream.aclose()
        response.extensions["whole"] = whole
        if not packed:
            response.stream = httpx.ByteStream(bytes(body))
            await response.aread()
            return response
        headers = httpx.Headers(response.headers)
        for name in ("Content-Encoding", "Content-Length", "Transfer-Encoding"):
            headers.pop(name, None)
        return httpx.Response(
            response.status_code, headers=headers, content=bytes(body), extensions=response.extensions
        )

    async def aclose(self) -> None:
        """Closes the transport within."""
        await self._inner.aclose()


def in_process(app: ASGIApp) -> httpx.AsyncBaseTransport:
    """A transport to an ASGI app in this process, which fails as a server would.

    An exception after the whole answer was given changes nothing; one before is a lost answer.
    """

    async def guarded(scope: Message, receive: Receive, send: Send) -> None:
        answered = False

        async def watched(message: Message) -> None:
            nonlocal answered
            await send(message)
            answered = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await app(scope, receive, watched)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            # Its kind and place only: its words may quote a token.
            logger.warning(
                "The API in this process failed: %s in %s, line %s", type(error).__name__, where.name, where.lineno
            )
            if not answered:
                raise httpx.ReadError("the API in this process failed") from error
        else:
            if not answered:
                raise httpx.RemoteProtocolError("the API in this process gave no complete answer")

    return httpx.ASGITransport(guarded)


def over_network(base_url: httpx.URL) -> httpx.AsyncBaseTransport:
    """A transport to `base_url`: directly for this machine, else by the proxy that the environment names.

    Raises:
        ValueError: The environment names a proxy of a kind that can't be used, or certificates that can't be read.
    """
    try:
        # On plain http no TLS is spoken; a context that trusts nobody spares loading everybody's certificates.
        plain = base_url.scheme == "http"
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else httpx.create_ssl_context()
        return Network(tls, proxy=_proxy_for(base_url), socket_options=_keep_alive())
    except OSError:
        raise ValueError("SSL_CERT_FILE or SSL_CERT_DIR in the environment names nothing that can be read") from None
    except (ValueError, ImportError):
        raise ValueError("the proxy in the environment can't be used; it must be an http or https proxy") from None


def _proxy_for(base_url: httpx.URL) -> str | None:
    if is_loopback(base_url.host) or proxy_bypass(base_url.host):
        return None
    proxies = getproxies()
    proxy = proxies.get(base_url.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _keep_alive() -> Iterator[SocketOption]:
    """Probes each minute: a call keeps its connection silent for longer than many a router remembers it."""
    yield socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1
    # Linux and Windows call the idle time TCP_KEEPIDLE, macOS TCP_KEEPALIVE.
    for names in (("TCP_KEEPIDLE", "TCP_KEEPALIVE"), ("TCP_KEEPINTVL",)):
        option = next((getattr(socket, name) for name in names if hasattr(socket, name)), None)
        if option is not None:
            yield socket.IPPROTO_TCP, option, 60


def with_retries(transport: httpx.AsyncBaseTransport, backoff: float) -> httpx.AsyncBaseTransport:
    """Bounds a transport and makes it try a GET again on 429, 502, 503, 504 and broken connections.

    Args:
        transport: Sends one request.
        backoff: Seconds; the waits are drawn from 0 to 2, 4 and 8 times this, unless the service names one.
    """
    retry = Patience(
        total=RETRIES,
        allowed_methods=["GET"],
        status_forcelist=[429, 502, 503, 504],
        retry_on_exceptions=_WORTH_A_RETRY,
        backoff_factor=backoff,
        max_backoff_wait=MAX_RETRY_WAIT,
        total_timeout=MAX_RETRY_WAIT,
    )
    return RetryTransport(BoundedTransport(transport), retry=retry)


def broken(error: httpx.HTTPError | httpx.InvalidURL, host: str, *, answered: bool) -> KallyAIError:
    """What a failure of the connection means for the request.

    Args:
        error: What httpx raised. Its words are not repeated: they can quote a header.
        host: Whom the request was for.
        answered: The request was answered, so that it was sent, whatever the error says of a redirect after it.
    """
    if isinstance(error, _NOTHING_SENT) and not answered:
        return NotConnectedError(f"KallyAI at {host} can't be reached: {_why(error)}; nothing was sent")
    why = "it took too long" if isinstance(error, httpx.TimeoutException) else "the connection broke"
    if isinstance(error, httpx.DecodingError):
        why = "what came can't be decoded"
    return ResponseLostError(f"No complete answer came from KallyAI at {host}: {why}; it may have acted on the request")


def _why(error: BaseException) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "it took too long"
    if isinstance(error, httpx.ProxyError):
        return "the proxy refused"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return "its TLS certificate or handshake is not acceptable"
        if isinstance(cause, socket.gaierror):
            return "its name is not known here"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
    return "no connection could be made"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what it came from, and the members of groups among them."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _causes(member)
    below = error.__cause__ or error.__context__
    if below is not None:
        yield from _causes(below)
