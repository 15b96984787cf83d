"""Connections of httpcore2 as this machine wants them: its certificates, its proxy, and the options of a socket."""

import logging
import select
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast
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
"""How long a connection may be idle until it is used again; many servers close theirs soon after that."""

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


def proxy_address(base_url: httpx2.URL) -> str | None:
    """The address of the proxy for `base_url`, from the environment or the system; None for a direct connection."""
    if base_url.scheme != "https" or is_loopback(base_url.host) or proxy_bypass(base_url.host):
        return None
    proxies = getproxies()
    return proxies.get("https") or proxies.get("all")


def connector(base_url: httpx2.URL, through: str | None) -> Callable[[], httpcore2.AsyncConnectionInterface]:
    """A function that makes an HTTP/1.1 connection to `base_url`, which is opened by its first request.

    The certificates are those of the system, where a company that inspects traffic puts its own, or those of
    SSL_CERT_FILE or SSL_CERT_DIR.
    """
    try:
        tls = httpcore2.default_ssl_context() if base_url.scheme == "https" else None
    except OSError:
        raise ValueError("SSL_CERT_FILE or SSL_CERT_DIR in the environment names nothing that can be read") from None
    proxy = None if through is None else _proxy(through, tls)
    pool = httpcore2.AsyncConnectionPool(
        ssl_context=tls, proxy=proxy, keepalive_expiry=_IDLE_SECONDS, network_backend=_Network()
    )
    return partial(pool.create_connection, httpcore2.URL(**address_of(base_url)).origin)


def address_of(url: httpx2.URL) -> dict[str, Any]:
    """The arguments of `httpcore2.URL` for the server of `url`."""
    return {"scheme": url.raw_scheme, "host": url.raw_host, "port": url.port}


def _proxy(address: str, tls: ssl.SSLContext | None) -> httpcore2.Proxy:
    try:
        url = httpx2.URL(address if "://" in address else f"http://{address}")
    except httpx2.InvalidURL:
        url = httpx2.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("the proxy in the environment can't be used; it must be an http or https proxy")
    return httpcore2.Proxy(
        httpcore2.URL(**address_of(url)),
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
        if not buffer:  # a GET has no body
            return
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
