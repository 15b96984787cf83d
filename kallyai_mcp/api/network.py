"""Connections of httpcore2 as this machine wants them: its certificates, its proxy, and the options
of a socket.
"""

import logging
import select
import socket
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.request import getproxies, proxy_bypass

import anyio
import httpcore2
import httpx2
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream

from kallyai_mcp.urls import is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 5.0
"""How long a connection may be idle until it is used again; many servers close theirs soon after
that.
"""

_TCP_OPTIONS = {
    "TCP_KEEPIDLE": 60,
    "TCP_KEEPALIVE": 60,
    "TCP_KEEPINTVL": 60,
    "TCP_USER_TIMEOUT": 60_000,
}
"""The options of a connection that this system has; macOS calls the first one as the second.

Keep-alive is sent every minute, because many routers drop a connection that is silent during a
call. The last option, of Linux, ends a connection on which nothing is confirmed for a minute.
Without it, the system repeats a lost request for a quarter of an hour, so a call could be placed
that much later.
"""

_SOCKET_OPTIONS = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), to)
        for name, to in _TCP_OPTIONS.items()
        if hasattr(socket, name)
    ),
]


class Network:
    """Opens HTTP/1.1 connections to a server, through the proxy of the environment or the system if
    there is one.

    The certificates are those of the system, where a company that inspects traffic puts its own, or
    those of SSL_CERT_FILE or SSL_CERT_DIR. `proxy` is None for direct connections.
    """

    def __init__(self, base_url: httpx2.URL) -> None:
        try:
            self._tls = httpcore2.default_ssl_context() if base_url.scheme == "https" else None
        except OSError:
            raise ValueError(
                "SSL_CERT_FILE or SSL_CERT_DIR in the environment names nothing readable"
            ) from None
        if self._tls is not None:
            self._tls.set_alpn_protocols(["http/1.1"])
        self._server = server_of(base_url)
        proxy = _proxy_for(base_url)
        self.proxy = None if proxy is None else server_of(proxy)
        self._login = ""
        if proxy is not None and proxy.username:
            self._login = f"{proxy.username}:{proxy.password}"

    async def open(self) -> httpcore2.AsyncHTTP11Connection:
        """A connection over which nothing was sent to the server."""
        first = self.proxy or self._server
        stream: ByteStream = await anyio.connect_tcp(first.host.decode(), first.port)
        opened = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - not Django's
        try:
            for option in _SOCKET_OPTIONS:
                opened.setsockopt(*option)
            if self.proxy is not None:
                stream = await self._secured(stream, self.proxy)
                await self._tunnel(self.proxy, _Stream(stream, opened))
            stream = await self._secured(stream, self._server)
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise
        return httpcore2.AsyncHTTP11Connection(
            self._server, _Stream(stream, opened), keepalive_expiry=_IDLE_SECONDS
        )

    async def _secured(self, stream: ByteStream, to: httpcore2.Origin) -> ByteStream:
        if to.scheme == b"http":
            return stream
        return await TLSStream.wrap(
            stream, hostname=to.host.decode(), ssl_context=self._tls, standard_compatible=False
        )

    async def _tunnel(self, proxy: httpcore2.Origin, stream: "_Stream") -> None:
        """Have the proxy connect to the server."""
        target = b"%b:%d" % (self._server.host, self._server.port)
        headers = [(b"Host", target)]
        if self._login:
            headers.append((b"Proxy-Authorization", b"Basic " + b64encode(self._login.encode())))
        request = httpcore2.Request("CONNECT", url_of(proxy, target), headers=headers)
        response = await httpcore2.AsyncHTTP11Connection(proxy, stream).handle_async_request(
            request
        )
        if not 200 <= response.status < 300:
            raise httpcore2.ProxyError


def server_of(url: httpx2.URL) -> httpcore2.Origin:
    """The server of a URL."""
    return httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port).origin


def url_of(server: httpcore2.Origin, target: bytes | str) -> httpcore2.URL:
    """The URL of a `target`, such as a path, of a server."""
    return httpcore2.URL(scheme=server.scheme, host=server.host, port=server.port, target=target)


def _proxy_for(base_url: httpx2.URL) -> httpx2.URL | None:
    address = _proxy_address(base_url)
    if address is None:
        return None
    try:
        url = httpx2.URL(address if "://" in address else f"http://{address}")
    except httpx2.InvalidURL:
        url = httpx2.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError(
            "the proxy in the environment can't be used; it must be an http or https proxy"
        )
    return url


def _proxy_address(base_url: httpx2.URL) -> str | None:
    """The proxy of the environment or the system, unless the server is reached without it."""
    is_direct = base_url.scheme != "https" or is_loopback(base_url.host)
    if is_direct or proxy_bypass(base_url.host):
        return None
    proxies = getproxies()
    return proxies.get("https") or proxies.get("all")


class _Stream(httpcore2.AsyncNetworkStream):
    """A connection over TCP or TLS.

    Unlike httpcore2's own, it has no time limit for each read and write.
    """

    def __init__(self, stream: ByteStream, opened: socket.socket) -> None:
        self._stream = stream
        self._socket = opened

    async def read(self, max_bytes: int, *_: Any, **__: Any) -> bytes:
        try:
            return await self._stream.receive(max_bytes)
        except anyio.EndOfStream:
            return b""

    async def write(self, buffer: bytes, *_: Any, **__: Any) -> None:
        if not buffer:  # a GET has no body
            return
        try:
            await self._stream.send(buffer)
        except anyio.BrokenResourceError as error:
            raise httpcore2.WriteError from error  # the server may have answered all the same

    async def aclose(self) -> None:
        await self._stream.aclose()

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
    """A connection to an ASGI app in this process.

    An exception of the app becomes an error of the connection.
    """

    proxy = None

    def __init__(self, app: "ASGIApp") -> None:
        self._transport = httpx2.ASGITransport(app)

    async def open(self) -> Self:
        """The connection itself, which has no state."""
        return self

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        """The complete response of the app."""
        url = bytes(request.url).decode("ascii")
        body = cast("httpx2.ByteStream", request.stream)
        asked = httpx2.Request(
            request.method.decode("ascii"), url, headers=request.headers, stream=body
        )
        try:
            response = await self._transport.handle_async_request(asked)
        except Exception as error:
            _log.warning("The API in this process failed", exc_info=error)
            raise httpcore2.ReadError from error
        return httpcore2.Response(
            response.status_code, headers=response.headers.raw, content=response.stream
        )

    def is_idle(self) -> bool:
        """Whether the next request may use this connection."""
        return False

    async def aclose(self) -> None:
        """Nothing is open."""
