"""How long a connection may keep us waiting, and the web server that acts on it."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEAD_SECONDS = 10.0
"""How long a request may take until its headers have arrived, counted from the connection or its first byte."""

BODY_SECONDS = 10.0
"""How long a request's body may take: 64 KiB come in a moment."""

IDLE_SECONDS = 75
"""How long a connection may stay open between two requests: a little longer than a load balancer's own minute."""

GRACE_SECONDS = 1
"""How long answers on their way get when the server is told to stop."""


class StartupError(Exception):
    """What the app does when it starts has failed."""


class _Watched:
    """An ASGI `send` that remembers whether the answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        self.started = True
        await self._send(message)


class BodyTimeout:
    """ASGI middleware: a body that takes too long to arrive is answered with 408."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        complete = False
        deadline: float | None = None
        watched = _Watched(send)

        async def in_time() -> Message:
            nonlocal complete, deadline
            if complete:
                return await receive()
            deadline = deadline or anyio.current_time() + BODY_SECONDS
            with anyio.fail_after(deadline - anyio.current_time()):
                message = await receive()
            complete = not message.get("more_body", False)
            return message

        try:
            await self._app(scope, in_time, watched)
        except TimeoutError:
            if complete or watched.started:
                raise
            late = PlainTextResponse("The request did not arrive in time", 408, headers={"Connection": "close"})
            await late(scope, receive, send)


class GracefulShutdown:
    """ASGI middleware: what is still being answered when the server stops ends as it stands, such as a stream.

    uvicorn cancels a request's task then, and only then, and would log it as a failure of the app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        watched = _Watched(send)
        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            if watched.started:
                await send({"type": "http.response.body"})
            else:
                await PlainTextResponse("The server stops", 503)(scope, receive, send)


class HeaderTimeoutProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # uvicorn chooses the class at run time
    """uvicorn's HTTP, except that headers that don't arrive in time end the connection.

    uvicorn's own command line takes it, too: `--http kallyai_mcp.transports.uvicorn_server:HeaderTimeoutProtocol`.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start waiting for the first request."""
        super().connection_made(transport)
        with contextlib.suppress(OSError):  # a Unix socket delays nothing
            # asyncio does it for its own listeners, and uvicorn's workers share one that is not.
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        """Read on; once the headers are there, nobody is waited for."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait_for_headers()
        else:
            self._stop_waiting()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header from httptools, which leaves the blanks after a value (RFC 9110, section 5.5); h11 doesn't."""
        super().on_header(name, value.rstrip(b" \t"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Server(uvicorn.Server):
    """uvicorn, except that it says when it is up, and that being told to stop is an orderly end."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._ready = ready
        self.down = anyio.Event()
        self.has_failed = False

    async def run_on(self, listener: socket.socket) -> None:
        """Serve until `should_exit`; being cancelled does not cut the stopping short."""
        try:
            with anyio.CancelScope(shield=True):
                await self.serve([listener])
        except SystemExit:  # so uvicorn says that the app's own start has failed; it has logged why
            self.has_failed = True
        finally:
            listener.close()
            self.down.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        names = ("SIGINT", "SIGTERM", "SIGBREAK")  # the last one is Windows's alone
        taken = [getattr(signal, name) for name in names if hasattr(signal, name)]
        before = {number: signal.signal(number, self.handle_exit) for number in taken}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


async def serve_app(app: ASGIApp, host: str, port: int, *, ready: Callable[[str], object]) -> None:
    """Serve `app` until SIGINT or SIGTERM (handled where this runs in the main thread) or until cancelled.

    Args:
        app: The ASGI app.
        host: The address to listen on.
        port: The port; 0 for any that is free.
        ready: Called with the base URL once it answers.

    Raises:
        OSError: The address can't be had.
        StartupError: The app did not start; the log says why.
    """
    listener = await _listen(host, port)
    config = uvicorn.Config(
        app,
        http=HeaderTimeoutProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config, lambda: ready(_address(listener)))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.run_on, listener)
        try:
            await server.down.wait()
        finally:
            server.should_exit = True
    if server.has_failed:
        raise StartupError("The server could not start; the log says why.")


async def _listen(host: str, port: int) -> socket.socket:
    family, _, _, _, address = (await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]
    listener = socket.create_server(address[:2], family=family, backlog=2048)
    # Connections inherit it. asyncio would set it, but not for a listener that was made by create_server, and then an
    # answer in two parts waits 40 ms for the client to acknowledge the first one.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
