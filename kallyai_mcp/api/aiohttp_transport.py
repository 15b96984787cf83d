"""A transport for httpx on aiohttp's connections.

httpx's own transport takes most of the time of a request here, and its pool checks every open connection for each
request; a call in progress keeps one for minutes. aiohttp is imported with the first request over a network.
"""

import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import httpx
from typing_extensions import override

if TYPE_CHECKING:
    import aiohttp

SocketOption = tuple[int, int, int]

_IDLE_SECONDS = 5.0
"""How long an idle connection is kept. The longer, the likelier that the server has just closed it."""

_CHUNK = 64 * 1024

_before_write: ContextVar[Callable[[], None] | None] = ContextVar("_before_write", default=None)
"""The extension `before_write` of the request that the present task sends."""


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends single requests; without redirects, cookies, and decoding.

    A POST is sent only once. A GET whose connection closes before the first byte of a response is immediately sent once
    more (RFC 9110, section 9.2.2).

    After `httpx.ConnectError`, `ConnectTimeout`, `ProxyError` and `UnsupportedProtocol`, nothing was sent. After every
    other `httpx.TransportError`, the request may have been sent.

    Of the extensions of a request, `connecting` is called first, and `before_write` when there is a connection, just
    before the request is written. What they raise is raised, and nothing is written.

    Args:
        tls: For https.
        proxy: The URL of an http or https proxy; None for a direct connection.
        socket_options: For each connection.

    Raises:
        ValueError: `proxy` is not the URL of an http or https proxy.
    """

    def __init__(self, tls: ssl.SSLContext, *, proxy: str | None, socket_options: Iterable[SocketOption]) -> None:
        self._tls = tls
        self._proxy = _checked(proxy) if proxy is not None else None
        self._socket_options = tuple(socket_options)
        self._session: aiohttp.ClientSession | None = None

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if (connecting := request.extensions.get("connecting")) is not None:
            connecting()
        import aiohttp  # imported late: it takes a quarter of the time that the server needs to start
        from yarl import URL

        if self._session is None:
            self._session = self._open()
        timeout: dict[str, float | None] = request.extensions.get("timeout", {})
        content = await request.aread()
        _before_write.set(request.extensions.get("before_write"))
        with _as_httpx(request):
            response = await self._session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=[(name, value) for name, value in request.headers.items() if name != "transfer-encoding"],
                data=content or None,
                timeout=aiohttp.ClientTimeout(connect=timeout.get("connect"), sock_read=timeout.get("read")),
                allow_redirects=False,
            )
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response, request))

    @override
    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> "aiohttp.ClientSession":
        import socket

        import aiohttp

        def open_socket(address: Any) -> socket.socket:
            family, kind, protocol = address[:3]
            opened = socket.socket(family, kind, protocol)
            for option in self._socket_options:
                opened.setsockopt(*option)
            return opened

        class Request(aiohttp.ClientRequest):
            async def send(self, conn: Any) -> aiohttp.ClientResponse:
                if (before_write := _before_write.get()) is not None:
                    before_write()
                return await super().send(conn)

        connector = aiohttp.TCPConnector(
            ssl=self._tls,
            limit=0,  # a limit of connections would limit the calls in progress
            keepalive_timeout=_IDLE_SECONDS,
            socket_factory=open_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            request_class=Request,
            proxy=self._proxy,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )


class _Body(httpx.AsyncByteStream):
    """The body of a response, chunk by chunk."""

    def __init__(self, response: "aiohttp.ClientResponse", request: httpx.Request) -> None:
        self._response = response
        self._request = request

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx(self._request):
            async for chunk in self._response.content.iter_chunked(_CHUNK):
                yield chunk

    @override
    async def aclose(self) -> None:
        # A connection with unread data can't be reused. Both return at once.
        self._response.release() if self._response.content.at_eof() else self._response.close()


@contextmanager
def _as_httpx(request: httpx.Request) -> Iterator[None]:
    """Turns aiohttp's exceptions into httpx's; in doubt, into those after which the request may have been sent."""
    import aiohttp

    try:
        yield
    except (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError) as error:
        raise httpx.ProxyError("the proxy refused", request=request) from error
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx.ConnectTimeout("no connection in time", request=request) from error
    except (aiohttp.ClientConnectorError, aiohttp.ClientSSLError) as error:
        raise httpx.ConnectError("no connection", request=request) from error
    except aiohttp.InvalidURL as error:
        raise httpx.UnsupportedProtocol("no address", request=request) from error
    except TimeoutError as error:
        raise httpx.ReadTimeout("no response in time", request=request) from error
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, aiohttp.ClientResponseError) as error:
        raise httpx.RemoteProtocolError("no complete response", request=request) from error
    except (aiohttp.ClientError, OSError) as error:
        raise httpx.ReadError("the connection broke", request=request) from error


def _checked(proxy: str) -> str:
    url = httpx.URL(proxy)
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("it must be an http or https proxy")
    return proxy
