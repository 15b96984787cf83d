"""The web server, uvicorn, with limits for each connection that it does not have itself."""

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import anyio
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from kallyai_mcp.transports.limits import MAX_HEAD_BYTES, MAX_HEADERS

REQUEST_TIMEOUT = 10.0
"""The most seconds from the connection, or from the first byte of a request, to the end of its headers and body."""

KEEP_ALIVE_SECONDS = 75
"""How long a connection may be idle between two requests. Load balancers close theirs after 60 seconds."""

WRITE_TIMEOUT = 60.0
"""The most seconds for which a client may not read a response, after the system's buffers are full (on Linux)."""

MAX_PIPELINED = 16
"""The most requests of a connection that wait for the response to an earlier one. Few clients send any."""

SHUTDOWN_SECONDS = 1
"""How many seconds responses may still take when the server stops."""

ACCEPTED_AT_ONCE = 16
"""The most connections that are accepted in one turn of uvloop's event loop."""


_MOST_FILES = 10_240 if sys.platform == "darwin" else 65_536
"""The most open files that `allow_open_files` asks for. macOS allows no more, although it reports no limit."""


class StartupError(Exception):
    """The app's startup (the ASGI lifespan) failed."""


def allow_open_files() -> int:
    """Raise this process's limit of open files as far as the system allows; returns it.

    On many systems it is 1,024 or 256 at first.
    """
    try:
        import resource
    except ImportError:
        return _MOST_FILES  # Windows has no such limit
    now, most = (
        _MOST_FILES if limit == resource.RLIM_INFINITY else min(limit, _MOST_FILES)
        for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    if now < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            return most
    return now


def most_connections() -> int:
    """The most open connections of clients: half of the open files. The rest is for calls and for the ledger."""
    return allow_open_files() // 2


class HeaderTimeoutProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # uvicorn chooses the class at run time
    """uvicorn's HTTP protocol, which closes a connection whose request or response takes too long.

    It also closes one whose headers never end, or that sends many requests before their responses. Only httptools,
    which has no limits for these, calls the methods `on_…`; h11 has its own limits.

    For uvicorn's command line: `--http kallyai_mcp.transports.uvicorn_server:HeaderTimeoutProtocol`.
    """

    _request_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Start the timeout of the first request; close the connection if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.abort()
            return
        with contextlib.suppress(OSError):  # a Unix socket has no such options
            connection = transport.get_extra_info("socket")
            # asyncio sets this only for its own listeners. Without it, the second part of a response waits 40 ms.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * WRITE_TIMEOUT))
        self._request_timer = self.loop.call_later(REQUEST_TIMEOUT, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Parse `data`. The timeout stops at the end of a request, and starts again with the next one."""
        super().data_received(data)
        in_head = self.scope is not None and "method" not in self.scope  # which uvicorn adds after the last header
        self._head_bytes = self._head_bytes + len(data) if in_head else 0
        if self._head_bytes > MAX_HEAD_BYTES:
            self.transport.abort()
        elif in_head or self.cycle is None or self.cycle.more_body or self.cycle.response_complete:
            self._request_timer = self._request_timer or self.loop.call_later(REQUEST_TIMEOUT, self.transport.abort)
        else:
            self._stop_timer()

    def on_message_begin(self) -> None:
        """Begin a request. If too many wait, raise an error, which uvicorn answers with 400."""
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests wait for an earlier response")
        self._head_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header, or a trailer of the body, which are endless otherwise.

        httptools keeps the blanks after a value, which are no part of it (RFC 9110, section 5.5). The SDK refuses them.
        """
        if len(self.headers) > MAX_HEADERS:
            raise ValueError("too many headers")  # uvicorn answers with 400
        super().on_header(name, value.rstrip(b" \t"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timeout."""
        self._stop_timer()
        super().connection_lost(exc)

    def _stop_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None


class _Server(uvicorn.Server):
    """uvicorn's server with two changes: it calls `ready`, and raises no SIGINT or SIGTERM again after its end."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:
            raise StartupError("The server could not start; the log says why.") from None
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        del sig, frame
        self.should_exit = True


async def serve_app(app: ASGIApp, host: str, port: int, *, ready: Callable[[str], object]) -> None:
    """Serve `app` until it is canceled, or until SIGINT or SIGTERM (handled only in the main thread).

    `host` is an address or a name; all addresses of a name on this machine are used. `port` may be 0 for any free one.
    `ready` is called with the base URL when the server accepts requests.

    Raises:
        OSError: The server can't listen on this address.
        StartupError: The app's startup failed. The log has the reason.
    """
    listeners = await _listen(host, port)
    config = uvicorn.Config(
        app,
        http=HeaderTimeoutProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # `asgi_app` reads them, from trusted proxies alone
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = _Server(config, lambda: ready(_url_of(listeners[0])))
    if type(asyncio.get_running_loop()).__module__.startswith("uvloop"):
        # In each turn it accepts one connection of a socket: on a busy server, the last of many clients waited seconds.
        listeners += [each.dup() for each in listeners for _ in range(ACCEPTED_AT_ONCE - 1)]
    running = asyncio.create_task(server.serve(listeners))
    try:
        await asyncio.shield(running)
    finally:
        server.should_exit = True
        with anyio.CancelScope(shield=True):  # also when this is canceled, the server stops in order
            await asyncio.wait([running])
        for listener in listeners:
            listener.close()


async def _listen(host: str, port: int) -> list[socket.socket]:
    """Listeners on every address of `host`. Browsers try both addresses of "localhost", but some clients only one."""
    listeners: list[socket.socket] = []
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for family, address in dict.fromkeys((family, address[:2]) for family, _, _, _, address in found):
        try:
            # All listeners get the port of the first one, which may be any free port.
            own_port = listeners[0].getsockname()[1] if listeners else address[1]
            listeners.append(socket.create_server((address[0], own_port), family=family, backlog=2048))
        except OSError as error:
            if listeners and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                continue  # "localhost" also has an IPv6 address on a machine without IPv6
            for opened in listeners:
                opened.close()
            raise
    return listeners


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
