"""Serving the sandbox over HTTP with uvicorn, from within any async program."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.fault_middleware import CONNECTION
from kallyai_mcp.sandbox.state import Sandbox

_GRACE_SECONDS = 1  # for answers that are already on their way when the server stops


class _Protocol(H11Protocol):
    """uvicorn's HTTP, except that a request knows its connection, so that a fault can cut it."""

    def connection_made(  # type: ignore[override]  # uvicorn's own, too, takes the one kind of transport that it gets
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, CONNECTION: transport}  # copied into the `state` of each request's scope


class _Server(uvicorn.Server):
    """uvicorn, except that it says when it is up and that it leaves signals alone unless told otherwise."""

    def __init__(self, config: uvicorn.Config, *, sandbox: Sandbox, signals: bool) -> None:
        super().__init__(config)
        self._sandbox = sandbox
        self._signals = signals
        self.up = anyio.Event()
        self.down = anyio.Event()

    async def run_on(self, listener: socket.socket) -> None:
        """Serve until `should_exit`; being cancelled does not cut the stopping short."""
        try:
            with anyio.CancelScope(shield=True):
                await self.serve([listener])
        finally:
            self.up.set()
            self.down.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._sandbox.stop()
        await super().shutdown(sockets)
        self._sandbox.resume()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if not self._signals or threading.current_thread() is not threading.main_thread():
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


@asynccontextmanager
async def _serving(app: FastAPI, host: str, port: int, *, signals: bool) -> AsyncIterator[tuple[str, _Server]]:
    listener = await _listen(host, port)
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,  # the program's own logging decides; unconfigured, warnings go to stderr
        access_log=False,  # the CLI flow carries tokens in its addresses
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Server(config, sandbox=app.state.sandbox, signals=signals)
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.run_on, listener)
        try:
            await server.up.wait()
            yield _address(listener), server
        except Exception as error:  # noqa: BLE001 - raised below, outside of the task group that would wrap it
            failure = error
        finally:
            server.should_exit = True
    if failure is not None:
        raise failure


async def _listen(host: str, port: int) -> socket.socket:
    family, _, _, _, address = (await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]
    listener = socket.create_server(address[:2], family=family, backlog=2048)
    # Connections inherit it. asyncio would set it, but not for a listener that was made by create_server, and then an
    # answer in two parts waits 40 ms for the client to acknowledge the first one.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _address(listener: socket.socket) -> str:
    """Where this very machine reaches the listener; one on all interfaces is on the loopback one, too."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@asynccontextmanager
async def running(app: FastAPI, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve `app` over HTTP while the block runs; asyncio only, since uvicorn is.

    At the end, requests that still wait for a call are answered with 503, and the port is free again. The database
    stays open: `app.state.sandbox.close()` is the caller's. Signals are the caller's, too.

    Args:
        app: What `create_app` made.
        host: The address or name to listen on.
        port: The port to listen on; 0 for any that is free.

    Yields:
        The base URL, without a slash at its end, such as `http://127.0.0.1:8000`.

    Raises:
        OSError: The address can't be had.
    """
    async with _serving(app, host, port, signals=False) as (url, _):
        yield url


async def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    data: Path | None = None,
    speed: float = 1.0,
    *,
    ready: Callable[[str], object] = lambda _: None,
) -> None:
    """Serve a sandbox until SIGINT or SIGTERM (handled where this runs in the main thread) or until cancelled.

    Args:
        host: The address or name to listen on.
        port: The port to listen on; 0 for any that is free.
        data: As for `create_app`.
        speed: As for `create_app`.
        ready: Called with the base URL once it answers.

    Raises:
        OSError: The address can't be had.
        ValueError: `speed` is not a finite number above 0.
        sqlite3.Error: `data` can't be opened, or is no database.
    """
    app = create_app(data=data, speed=speed)
    try:
        async with _serving(app, host, port, signals=True) as (url, server):
            ready(url)
            await server.down.wait()
    finally:
        app.state.sandbox.close()
