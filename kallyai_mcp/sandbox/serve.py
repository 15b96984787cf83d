"""Serves the sandbox over HTTP with uvicorn, inside an async program."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.fault_middleware import CONNECTION
from kallyai_mcp.sandbox.simulator.scenario import Line
from kallyai_mcp.sandbox.state import Sandbox

_TICK_SECONDS = 0.1
_GRACE_SECONDS = 1  # for responses that are being sent at shutdown


class _Protocol(H11Protocol):
    """uvicorn's HTTP protocol; it also gives each request its connection, so that a fault can cut
    it.
    """

    def connection_made(  # type: ignore[override]  # as in uvicorn, which also narrows the argument's type
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        # Uvicorn copies it into each request's scope.
        self.app_state = {**self.app_state, CONNECTION: transport}


class _Server(uvicorn.Server):
    """uvicorn with events for start and end, which handles signals only if `signals` is true."""

    def __init__(self, config: uvicorn.Config, *, sandbox: Sandbox, signals: bool) -> None:
        super().__init__(config)
        self._sandbox = sandbox
        self._signals = signals
        self.up = anyio.Event()
        self.down = anyio.Event()
        self._end = anyio.Event()

    def end(self) -> None:
        """Shut the server down at once. uvicorn alone would notice it only at its next tick, so
        tests would wait.
        """
        self.should_exit = True
        self._end.set()

    async def main_loop(self) -> None:
        while not self.should_exit:  # a signal sets only this
            with anyio.move_on_after(_TICK_SECONDS):
                await self._end.wait()

    async def run_on(self, listener: socket.socket) -> None:
        """Serve until `should_exit` is true. A cancellation does not interrupt the shutdown."""
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
        names = ("SIGINT", "SIGTERM", "SIGBREAK")  # SIGBREAK exists on Windows only
        numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
        previous = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


@asynccontextmanager
async def _run_server(
    app: FastAPI, host: str, port: int, *, signals: bool
) -> AsyncIterator[tuple[str, _Server]]:
    family, _, _, _, address = (await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]
    listener = socket.create_server(address[:2], family=family, backlog=2048)
    # Connections inherit this option. asyncio does not set it for a listener made by create_server;
    # without it, the second part of a response waits 40 ms for the client to acknowledge the first.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,  # the program configures logging; by default, warnings go to stderr
        access_log=False,  # URLs of the CLI flow contain tokens
        server_header=False,
        date_header=False,  # the app dates its responses by the sandbox's clock
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Server(config, sandbox=app.state.sandbox, signals=signals)
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.run_on, listener)
        try:
            await server.up.wait()
            yield _address(listener), server
        except Exception as error:  # noqa: BLE001 - raised below, outside of the task group, which would wrap it
            failure = error
        finally:
            server.end()
    if failure is not None:
        raise failure


def _address(listener: socket.socket) -> str:
    """Return the base URL for clients on this machine; for a listener on all interfaces, the
    loopback address.
    """
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@asynccontextmanager
async def running(app: FastAPI, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve `app` (of `create_app`) while the block runs, and yield its base URL without a trailing
    slash.

    Port 0 is any free one. It needs asyncio, as uvicorn does. At the end, requests that wait for a
    call are answered with 503, and the port is free again. The caller closes `app.state.sandbox`,
    and handles signals.

    Raises:
        OSError: The address or port can't be used.
    """
    async with _run_server(app, host, port, signals=False) as (url, _):
        yield url


async def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    data: Path | None = None,
    speed: float = 1.0,
    lines: Iterable[Line] = (),
    *,
    plays: bool = False,
    ready: Callable[[str], object] = lambda _: None,
    report: Callable[[str], object] = lambda _: None,
) -> None:
    """Serve a sandbox until SIGINT or SIGTERM (in the main thread only) or until canceled; see
    `running`, `create_app`.

    `ready` is called with the base URL when the server is up; `report` is `Sandbox.report`.
    """
    app = create_app(data=data, speed=speed, lines=lines, plays=plays)
    app.state.sandbox.report = report
    try:
        async with _run_server(app, host, port, signals=True) as (url, server):
            ready(url)
            await server.down.wait()
    finally:
        app.state.sandbox.close()
