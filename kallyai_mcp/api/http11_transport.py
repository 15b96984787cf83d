"""A transport for httpx that uses h11 on connections of the event loop.

httpx's own transport would take most of the time of a request, and checks every open connection for each request. There
are many, because each call in progress has one for minutes. The import of aiohttp would take a tenth of the start and
9 MB.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager

import httpx
from aiohappyeyeballs import start_connection
from typing_extensions import override

from kallyai_mcp.api.http11_connection import Connection

SocketOption = tuple[int, int, int]

_EYEBALLS_DELAY = 0.25
"""Seconds until the next address of a name is also tried (RFC 8305, "Connection Attempt Delay")."""

_CLOSE_SECONDS = 0.5
"""How long `aclose` waits until all connections are closed; they are aborted, so it takes one turn of the loop."""


class Http11Transport(httpx.AsyncBaseTransport):
    """Sends single requests, without redirects, cookies, and decoding.

    A POST is sent only once, on a new connection: the server may just be closing a used one, or send a late response to
    the request before. A GET is immediately sent once more if its connection closes before the first byte of a response
    (RFC 9110, section 9.2.2).

    After `httpx.ConnectError`, `ConnectTimeout`, `ProxyError`, `LocalProtocolError`, and `UnsupportedProtocol`, nothing
    was sent. After every other `httpx.TransportError`, the request may have been sent.

    The extension `before_write` of a request is awaited when there is a connection, just before the request is written.
    If it raises an error, nothing is written, and the error is raised.

    Args:
        tls: The TLS context for https.
        proxy: The URL of an http or https proxy for https; None for a direct connection.
        socket_options: The socket options of each connection.

    Raises:
        ValueError: `proxy` is not the URL of an http or https proxy.
    """

    def __init__(self, tls: ssl.SSLContext, *, proxy: str | None, socket_options: Iterable[SocketOption]) -> None:
        self._tls = tls
        self._proxy = _checked(proxy) if proxy is not None else None
        self._socket_options = tuple(socket_options)
        self._open: set[Connection] = set()
        self._idle: dict[tuple[str, str, int | None], list[Connection]] = {}

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        may_repeat = is_get = request.method == "GET"
        while True:
            connection = (self._reusable(request.url) if is_get else None) or await self._connect(request)
            try:
                return await self._exchange(connection, request, body)
            except BaseException as error:
                connection.abort() if connection.is_written else connection.close()
                is_repeated = may_repeat and not connection.has_answer and isinstance(error, httpx.NetworkError)
                if not is_repeated:
                    raise
                may_repeat = False

    @override
    async def aclose(self) -> None:
        self._idle.clear()
        is_closed = [connection.abort() for connection in tuple(self._open)]
        if is_closed:
            # A connection of uvloop that was canceled while it opened is never told that it is closed.
            await asyncio.wait(is_closed, timeout=_CLOSE_SECONDS)
        await asyncio.sleep(0)  # a connection whose TLS handshake was canceled closes in the loop's next turn

    async def _exchange(self, connection: Connection, request: httpx.Request, body: bytes) -> httpx.Response:
        timeout: dict[str, float | None] = request.extensions.get("timeout", {})
        data = connection.encoded(request.method.encode(), request.url.raw_path, request.headers.raw, body)
        if (before_write := request.extensions.get("before_write")) is not None:
            await before_write()
        connection.write(data)
        del data  # to free the memory: the response to a call takes minutes
        response = await connection.response(timeout.get("read"))
        stream = _Body(self, connection, request.url, timeout.get("read"))
        return httpx.Response(response.status_code, headers=response.headers.raw_items(), stream=stream)

    def _reusable(self, url: httpx.URL) -> Connection | None:
        idle = self._idle.get((url.scheme, url.host, url.port), [])
        while idle:
            if (connection := idle.pop()).take():
                return connection
        return None

    def keep(self, connection: Connection, url: httpx.URL) -> None:
        """Keep a connection for the next request, if its response allows that; else close it."""
        if connection in self._open and connection.next_cycle():
            self._idle.setdefault((url.scheme, url.host, url.port), []).append(connection)
        else:
            connection.close()

    async def _connect(self, request: httpx.Request) -> Connection:
        """A new connection to the origin of a request.

        Raises:
            httpx.TransportError: There is none; nothing was sent.
        """
        url = request.url
        connection: Connection | None = None
        try:
            async with asyncio.timeout(request.extensions.get("timeout", {}).get("connect")):
                if self._proxy is None or url.scheme == "http":
                    connection = await self._open_to(url)
                else:
                    with _as_proxy_error(request):
                        connection = await self._open_to(self._proxy)
                        if self._proxy.scheme == "https":
                            await connection.start_tls(self._tls, self._proxy.host)
                        await connection.connect_through(url, self._proxy)
                if url.scheme == "https":
                    await connection.start_tls(self._tls, url.host)
        except BaseException as error:
            if connection is not None:
                connection.abort()
            if isinstance(error, TimeoutError):
                raise httpx.ConnectTimeout("no connection in time", request=request) from error
            if isinstance(error, OSError | RuntimeError | UnicodeError):  # uvloop raises RuntimeError, too
                raise httpx.ConnectError("no connection", request=request) from error
            raise
        return connection

    async def _open_to(self, url: httpx.URL) -> Connection:
        """A connection to a host, without TLS."""
        loop = asyncio.get_running_loop()
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await loop.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        # Not by `create_connection`: with uvloop, it tries the addresses one after another.
        opened = await start_connection(addresses, happy_eyeballs_delay=_EYEBALLS_DELAY)
        try:
            for option in self._socket_options:
                opened.setsockopt(*option)
            _, connection = await loop.create_connection(lambda: Connection(self._open), sock=opened)
        except BaseException:
            opened.close()
            raise
        return connection


class _Body(httpx.AsyncByteStream):
    """The body of a response, part by part."""

    def __init__(self, transport: Http11Transport, connection: Connection, url: httpx.URL, read: float | None) -> None:
        self._transport = transport
        self._connection = connection
        self._url = url
        self._read = read
        self._is_closed = False

    @override
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._connection.data(self._read)

    @override
    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._transport.keep(self._connection, self._url)


@contextmanager
def _as_proxy_error(request: httpx.Request) -> Iterator[None]:
    """A context for the connection through a proxy. Its errors become `ProxyError`: nothing was sent to the host."""
    try:
        yield
    except TimeoutError:
        raise
    except (httpx.TransportError, OSError) as error:
        raise httpx.ProxyError("the proxy refused", request=request) from error


def _checked(proxy: str) -> httpx.URL:
    url = httpx.URL(proxy)
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("it must be an http or https proxy")
    return url
