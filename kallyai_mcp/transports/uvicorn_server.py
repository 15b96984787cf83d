"""The web server, uvicorn, with limits for each connection that it does not have itself."""

import asyncio
import contextlib
import math
import socket
from collections.abc import AsyncIterator, Generator
from functools import cache
from typing import Any

import anyio
import uvicorn
from anyio.abc import SocketAttribute
from sse_starlette.sse import AppStatus
from starlette.applications import Starlette
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from kallyai_mcp.transports.standard_streams import allow_open_files
from kallyai_mcp.urls import http_url

MAX_HEAD_BYTES = 64 * 1024
"""The most bytes of a request's URL and headers."""

MAX_HEADERS = 100
"""The most headers of a request."""

REQUEST_TIMEOUT = 10.0
"""The most seconds from the connection, or from the first byte of a request, to the end of its
headers and body.
"""

WRITE_TIMEOUT = 60.0
"""The most seconds for which a client may not read a response, after the system's buffers are full
(on Linux).
"""

MAX_PIPELINED = 16
"""The most requests of a connection that wait for the response to an earlier one.

Few clients send any.
"""

_ACCEPTED_AT_ONCE = 16
"""The most connections that are accepted in one turn of the event loop."""

FINISH_SECONDS = 1
"""How long a server that is stopped waits for the answers that it owes."""

# Else each answer that comes as a stream would be cut as soon as uvicorn is told to stop.
AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]  # sse-starlette's


@cache
def most_connections() -> int:
    """The most open connections of clients: half of the files that may be open.

    Calls and the ledger need the rest.
    """
    return allow_open_files() // 2


class HeaderTimeoutProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # uvicorn chooses the class at run time
    """uvicorn's HTTP protocol, which closes a connection whose request or response takes too long.

    It also closes one whose headers never end, or that sends many requests before their responses.
    Only httptools, which has no limits for these, calls the methods `on_…`; h11 has its own limits.

    For uvicorn's command line: `--http
    kallyai_mcp.transports.uvicorn_server:HeaderTimeoutProtocol`.
    """

    _request_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _lines = 0
    """The lines of this request's headers and trailers so far."""

    def connection_made(self, transport: Any) -> None:
        """Start the timeout of the first request; close the connection if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.abort()
            return
        with contextlib.suppress(OSError):  # a Unix socket has no such options
            connection = transport.get_extra_info("socket")
            # asyncio sets this only for its own listeners. Without it, the second part of a
            # response waits 40 ms.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
                connection.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * WRITE_TIMEOUT)
                )
        self._request_timer = self.loop.call_later(REQUEST_TIMEOUT, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Parse `data`.

        The timeout stops at the end of a request, and starts again with the next one.
        """
        super().data_received(data)
        in_head = self.scope is not None and self._is_in_head()
        self._head_bytes = self._head_bytes + len(data) if in_head else 0
        if self._head_bytes > MAX_HEAD_BYTES:
            self.transport.abort()
        elif in_head or self._waits_for_client():
            if self._request_timer is None:
                self._request_timer = self.loop.call_later(REQUEST_TIMEOUT, self.transport.abort)
        else:
            self._stop_timer()

    def _waits_for_client(self) -> bool:
        """Whether the client is to send a request, or the rest of one."""
        return self.cycle is None or self.cycle.more_body or self.cycle.response_complete

    def on_message_begin(self) -> None:
        """Begin a request. If too many wait, raise an error, which uvicorn answers with 400."""
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests wait for an earlier response")
        self._head_bytes = 0
        self._lines = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; drop a trailer of the body. Both are counted, because they may be endless.

        A trailer is no header (RFC 9110, section 6.5.1): a proxy that checks or sets headers does
        not see it. httptools keeps the blanks after a value, which are no part of it (RFC 9110,
        section 5.5). The SDK refuses them.
        """
        if self._lines > MAX_HEADERS:
            raise ValueError("too many headers")  # uvicorn answers with 400
        self._lines += 1
        if self._is_in_head():
            super().on_header(name, value.rstrip(b" \t"))

    def _is_in_head(self) -> bool:
        """Whether the headers of this request are not complete. uvicorn adds the method after the
        last one.
        """
        return "method" not in self.scope

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timeout."""
        self._stop_timer()
        super().connection_lost(exc)

    def _stop_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves the signals to the program."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@contextlib.asynccontextmanager
async def serve_app(
    app: Starlette, host: str, port: int, *, finish_seconds: float = FINISH_SECONDS
) -> AsyncIterator[str]:
    """Serve `app` as long as the block runs; yields the base URL. No request is logged.

    `host` is an address or a name; all addresses of a name are used. `port` may be 0 for any free
    one. At the end, requests that are not answered after `finish_seconds` are canceled. Raises
    `OSError` if the server can't listen on this address.
    """
    listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
    async with listener, app.router.lifespan_context(app):
        sockets = [each.extra(SocketAttribute.raw_socket) for each in listener.listeners]  # noqa: S610 - not Django's
        address, own_port = sockets[0].getsockname()[:2]
        # In each turn of uvloop, a socket accepts one connection: without more, the last of many
        # clients waits seconds.
        sockets += [each.dup() for each in sockets for _ in range(_ACCEPTED_AT_ONCE - 1)]
        config = uvicorn.Config(
            app,
            http=HeaderTimeoutProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # `asgi_app` reads them, from trusted proxies alone
            timeout_keep_alive=75,  # load balancers close idle connections after 60 s
            timeout_graceful_shutdown=math.ceil(finish_seconds),
        )
        server = _Server(config)
        running = asyncio.create_task(server.serve(sockets))
        try:
            yield http_url(address, own_port)
        finally:
            server.should_exit = True
            # Also when this is canceled, the server stops in order.
            with anyio.CancelScope(shield=True):
                await asyncio.wait([running])
