"""The wire itself: httpx's requests carried by aiohttp's connections.

httpx's own transport is most of what a request costs here, and its pool looks at every open connection for each
request; a call under way holds one for minutes. aiohttp is loaded with the first request that goes over a network.
"""

import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
from typing_extensions import override

if TYPE_CHECKING:
    import aiohttp

SocketOption = tuple[int, int, int]

_IDLE_SECONDS = 5.0
"""How long a connection is kept for the next request: the longer, the likelier that the other side has just left."""

_CHUNK = 64 * 1024


class Network(httpx.AsyncBaseTransport):
    """Sends single requests, follows no redirect, keeps no cookie, and decodes nothing.

    A POST is sent once and never again. A GET whose connection closes without a byte of an answer is sent once more, at
    once (RFC 9110, section 9.2.2).

    What it raises says truthfully whether anything was sent: `httpx.ConnectError`, `ConnectTimeout`, `ProxyError` and
    `UnsupportedProtocol` mean that nothing was, every other `httpx.TransportError` that it can't be told.

    Args:
        tls: For https.
        proxy: The URL of an http or https proxy; None to connect directly.
        socket_options: For each connection.

    Raises:
        ValueError: `proxy` is of another kind, or no URL.
    """

    def __init__(self, tls: ssl.SSLContext, *, proxy: str | None, socket_options: Iterable[SocketOption]) -> None:
        self._tls = tls
        self._proxy = _checked(proxy) if proxy is not None else None
        self._socket_options = tuple(socket_options)
        self._session: aiohttp.ClientSession | None = None

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        import aiohttp  # late: a quarter of what the server needs to start
        from yarl import URL

        if self._session is None:
            self._session = self._open()
        timeout: dict[str, float | None] = request.extensions.get("timeout", {})
        content = await request.aread()
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

        def connected(address: Any) -> socket.socket:
            family, kind, protocol = address[:3]
            opened = socket.socket(family, kind, protocol)
            for option in self._socket_options:
                opened.setsockopt(*option)
            return opened

        connector = aiohttp.TCPConnector(
            ssl=self._tls,
            limit=0,  # each call under way holds a connection for minutes: a limit would be a limit of calls
            keepalive_timeout=_IDLE_SECONDS,
            socket_factory=connected,
        )
        return aiohttp.ClientSession(
            connector=connector,
            proxy=self._proxy,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )


class _Body(httpx.AsyncByteStream):
    """A response's body as it comes."""

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
        # What was not read to its end can't be used again; this returns at once.
        self._response.release() if self._response.content.at_eof() else self._response.close()


@contextmanager
def _as_httpx(request: httpx.Request) -> Iterator[None]:
    """Turns what aiohttp raises into what httpx does; in doubt into what says that the request may have arrived."""
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
        raise httpx.ReadTimeout("no answer in time", request=request) from error
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, aiohttp.ClientResponseError) as error:
        raise httpx.RemoteProtocolError("no complete answer", request=request) from error
    except (aiohttp.ClientError, OSError) as error:
        raise httpx.ReadError("the connection broke", request=request) from error


def _checked(proxy: str) -> str:
    url = httpx.URL(proxy)
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("it must be an http or https proxy")
    return proxy
