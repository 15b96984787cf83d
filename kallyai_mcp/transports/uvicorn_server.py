"""The web server, uvicorn, with limits for each connection that it does not have itself."""

import asyncio
import contextlib
import errno
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from kallyai_mcp.transports.standard_streams import open_files

HEADER_TIMEOUT = 10.0
"""The most seconds from the connection, or from the first byte of a request, to the end of the request's headers."""

KEEP_ALIVE_SECONDS = 75
"""How long a connection may be idle between two requests. Load balancers close theirs after 60 seconds."""

WRITE_TIMEOUT = 60.0
"""The most seconds for which a client may not read a response, after the system's buffers are full."""

MAX_HEAD_BYTES = 64 * 1024
"""The most bytes of a request's first line and headers."""

MAX_HEADERS = 100
"""The most headers of a request, trailers included."""

MAX_PIPELINED = 16
"""The most requests of a connection that wait for the response to an earlier one. Few clients send any."""

SHUTDOWN_SECONDS = 1
"""How many seconds responses may still take when the server stops."""


class StartupError(Exception):
    """The app's startup (the ASGI lifespan) failed."""


def most_connections() -> int:
    """The most open connections of clients: half of the open files. The rest is for calls and for the ledger."""
    return open_files() // 2


class HeaderTimeoutProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # uvicorn chooses the class at run time
    """uvicorn's HTTP protocol with limits for each connection.

    It closes a connection if the headers of a request take longer than `HEADER_TIMEOUT` or are too long. It also
    closes one with too many requests that wait for a response, or whose client does not read a response. Only
    httptools, which has no limits for requests, calls the methods `on_…`. h11 has its own limits.

    For uvicorn's command line: `--http kallyai_mcp.transports.uvicorn_server:HeaderTimeoutProtocol`.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _in_head = False
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Start the timeout of the first request; close the connection if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.abort()
            return
        with contextlib.suppress(OSError):  # a Unix socket has no such option
            # asyncio sets this only for its own listeners. Without it, the second part of a response waits 40 ms.
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Parse `data`. The timeout stops at the end of the headers, and starts again after the response."""
        super().data_received(data)
        self._head_bytes += len(data) if self._in_head else 0
        if self._head_bytes > MAX_HEAD_BYTES:
            self.transport.abort()
        elif self._in_head or self.cycle is None or self.cycle.response_complete:
            self._expect_head()
        else:
            self._stop("_head_timer")

    def on_message_begin(self) -> None:
        """Begin a request. If too many wait, raise an error, which uvicorn answers with 400."""
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests wait for an earlier response")
        self._in_head, self._head_bytes, self._parsed_bytes = True, 0, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header, and strip the blanks after its value (RFC 9110, section 5.5), which httptools keeps."""
        self._parsed_bytes += len(name) + len(value) + len(": \r\n")
        if len(self.headers) >= MAX_HEADERS or self._parsed_bytes + len(self.url) > MAX_HEAD_BYTES:
            raise ValueError("too many headers")  # uvicorn answers with 400
        super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """Serve the request."""
        self._in_head, self._head_bytes = False, 0
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """Called when the system's buffers are full: start the timeout of the response."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(WRITE_TIMEOUT, self.transport.abort)

    def resume_writing(self) -> None:
        """Called when the client reads again: stop the timeout of the response."""
        self._stop("_write_timer")
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timeouts."""
        self._stop("_head_timer")
        self._stop("_write_timer")
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEADER_TIMEOUT, self.transport.abort)

    def _stop(self, timer: str) -> None:
        if (running := getattr(self, timer)) is not None:
            running.cancel()
        setattr(self, timer, None)


class _Server(uvicorn.Server):
    """uvicorn's server with two changes: it calls `ready`, and raises no SIGINT or SIGTERM again after its end."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        names = ("SIGINT", "SIGTERM", "SIGBREAK")  # only Windows has the last one
        numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
        handlers = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)


async def serve_app(app: ASGIApp, host: str, port: int, *, ready: Callable[[str], object]) -> None:
    """Serve `app` until it is canceled, or until SIGINT or SIGTERM (handled only in the main thread).

    Args:
        app: The ASGI app.
        host: The address or name to listen on. For a name, all its addresses on this machine are used.
        port: The port; 0 for any free one.
        ready: Called with the base URL when the server accepts requests.

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
    failures: list[SystemExit] = []

    async def serve() -> None:
        """Serve until `should_exit` is set. Cancellation is ignored, so that the server always stops in order."""
        try:
            with anyio.CancelScope(shield=True):
                await server.serve(listeners)
        except SystemExit as error:  # uvicorn raises it if the app's startup fails, after it has logged the reason
            failures.append(error)
        finally:
            for listener in listeners:
                listener.close()
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        try:
            await anyio.sleep_forever()
        finally:
            server.should_exit = True
    if failures:
        raise StartupError("The server could not start; the log says why.")


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
