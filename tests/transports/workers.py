"""The server as the worker processes of `uvicorn --factory kallyai_mcp.cli.serve_http:from_environment`."""

import math
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.abc

from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.settings import Settings
from tests.processes import environment, free_port
from tests.transports.http_server import LIMIT

COMMAND = (
    "uvicorn --factory kallyai_mcp.cli.serve_http:from_environment --workers 2 --host 0.0.0.0 --port 8000 "
    "--http kallyai_mcp.transports.uvicorn_server:HeaderTimeoutProtocol --ws none --no-access-log --no-server-header "
    "--timeout-keep-alive 75 --timeout-graceful-shutdown 1 --no-proxy-headers"
)
"""The command that docs/hosting.md shows."""


def workers_command(port: int, workers: int) -> list[str]:
    """`COMMAND` with so many workers on a port of 127.0.0.1."""
    command = COMMAND.replace("0.0.0.0 --port 8000", f"127.0.0.1 --port {port}")
    return [sys.executable, "-m", *command.replace("--workers 2", f"--workers {workers}").split()]


class Uvicorn:
    """A running `uvicorn`.

    Attributes:
        port: The port of 127.0.0.1 that it listens on.
        url: Its base URL.
        pids: The process ids of all workers that it has started, dead ones too, in the order of their start.
    """

    def __init__(self, port: int, process: anyio.abc.Process) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.pids: list[int] = []
        self._process = process
        self._log = ""
        self._log_grew = anyio.Event()

    async def read_log(self) -> None:
        """Read its stderr until it ends."""
        assert self._process.stderr is not None
        async for chunk in self._process.stderr:
            self._log += chunk.decode(errors="replace")
            self.pids = [int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", self._log)]
            self._log_grew.set()
            self._log_grew = anyio.Event()
        self._log_grew.set()

    async def wait_for_workers(self, number: int) -> None:
        """Wait until it listens and has started `number` workers in all, dead ones included."""
        with anyio.fail_after(LIMIT):
            while self._log.count("Application startup complete.") < number or "running on" not in self._log:
                assert self._process.returncode is None, self._log
                await self._log_grew.wait()

    def kill_first_worker(self) -> None:
        """Kill the worker that it has started first, with SIGKILL."""
        os.kill(self.pids[0], signal.SIGKILL)

    async def stop(self) -> None:
        """Stop it by SIGTERM; kill it and its workers if that does not end it."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        with anyio.move_on_after(LIMIT):
            await self._process.wait()
        if self._process.returncode is None:
            for pid in [self._process.pid, *self.pids]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            raise AssertionError(f"uvicorn did not stop: {self._log}")


@asynccontextmanager
async def uvicorn(home: Path, *, workers: int, **settings: str) -> AsyncIterator[Uvicorn]:
    """Run `COMMAND` with `workers` workers on a free port of 127.0.0.1; yields it when all have started."""
    port = free_port()
    command = workers_command(port, workers)
    process = await anyio.open_process(command, stdin=None, stdout=None, env=environment(home, **settings))
    server = Uvicorn(port, process)
    async with process, anyio.create_task_group() as tasks:
        tasks.start_soon(server.read_log)
        try:
            await server.wait_for_workers(workers)
            yield server
        finally:
            with anyio.CancelScope(shield=True):
                await server.stop()
            tasks.cancel_scope.cancel()


WorkerLookup = Callable[[str], Awaitable[str]]
"""Returns the name of the worker that runs a call, by its tracking id."""


@asynccontextmanager
async def worker_lookup(settings: Settings) -> AsyncIterator[WorkerLookup]:
    """Look into the ledger of servers with these settings, for the account of their `ACCESS_TOKEN`."""
    assert settings.access_token is not None
    tokens = Tokens.from_document({"access_token": settings.access_token, "expires_at": math.inf})
    async with aclosing(Connection(settings).ledger()) as ledger:

        async def worker_of(tracking_id: str) -> str:
            record = await ledger.find(AccountKey(settings.api_url, tokens.account), tracking_id)
            assert record is not None
            return record.worker

        yield worker_of
