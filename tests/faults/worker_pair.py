"""Two workers, `kallyai-mcp serve --transport http`, with one database and one sandbox; they serve several runs."""

import re
import secrets
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Self

import anyio
import anyio.abc
import anyio.to_thread
import psycopg
from psycopg.rows import dict_row

from tests.faults.memory import fast_folder
from tests.faults.plans import WORKERS_WAIT_SECONDS
from tests.faults.server_process import start
from tests.faults.service import Service
from tests.faults.system import SHUTDOWN_SECONDS, Row, ServerFailedError, server_environment
from tests.postgres_server import PostgresServer

_START_SECONDS = 60.0
_SECRET_KEY = secrets.token_hex(32)


class Worker:
    """One worker, which can end and be started again.

    Attributes:
        name: For the log.
        port: The port that it serves; None while it does not run.
        stderr: All that it has written to stderr.
    """

    def __init__(self, name: str, tasks: anyio.abc.TaskGroup) -> None:
        self.name = name
        self.port: int | None = None
        self.stderr = ""
        self._tasks = tasks
        self._process: anyio.abc.Process | None = None
        self._starting = anyio.Lock()
        self._starts = 0

    async def start(self, env: dict[str, str]) -> None:
        """Start it unless it runs, and wait until it accepts connections.

        Raises:
            ServerFailedError: It does not start.
        """
        async with self._starting:
            if self.port is not None:
                return
            command = ["serve", "--transport", "http", "--port", "0"]
            self._starts += 1
            self._process = await start(command, env)
            with anyio.move_on_after(_START_SECONDS):
                self.port = await self._tasks.start(self._read_stderr, self._process)
            if self.port is None:
                raise ServerFailedError(f"{self.name} did not start: {self.stderr[-500:]}")

    async def _read_stderr(self, process: anyio.abc.Process, *, task_status: anyio.abc.TaskStatus[int | None]) -> None:
        """Keep what it writes until it ends; it has started once it writes its address."""
        began, is_started = len(self.stderr), False
        assert process.stderr is not None
        async with process:
            async for chunk in process.stderr:
                self.stderr += chunk.decode(errors="replace")
                address = re.search(r"serves http://127\.0\.0\.1:(\d+)/mcp", self.stderr[began:])
                if address is not None and not is_started:
                    is_started = True
                    task_status.started(int(address[1]))
        if not is_started:
            task_status.started(None)

    async def end(self, *, at_once: bool) -> None:
        """End it, and wait until it has ended.

        Args:
            at_once: With SIGKILL, not SIGTERM.

        Raises:
            ServerFailedError: It does not end on SIGTERM.
        """
        process, self._process, self.port = self._process, None, None
        if process is None:
            return
        with suppress(ProcessLookupError):  # it has ended by itself
            (process.kill if at_once else process.terminate)()
        with anyio.move_on_after(SHUTDOWN_SECONDS):
            await process.wait()
        if process.returncode is None:
            process.kill()
            raise ServerFailedError(f"{self.name} did not end on SIGTERM")


class WorkerPair:
    """Both workers, and the servers that they need. Use it as an async context manager.

    Args:
        folder: An empty folder for the workers.
        starting: Limits how many workers start at the same time, which would slow everything else.

    Attributes:
        service: The sandbox.
        pair: The workers.
        database: The PostgreSQL server that they share, and nobody else.
    """

    pair: tuple[Worker, Worker]
    database: PostgresServer
    _connection: psycopg.Connection[Row]
    _url: str
    _tasks: anyio.abc.TaskGroup

    def __init__(self, folder: Path, starting: anyio.CapacityLimiter) -> None:
        self.service = Service()
        self._home = folder / "home"
        self._starting = starting
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.database = await anyio.to_thread.run_sync(lambda: PostgresServer(folder=fast_folder()))
        self._stack.callback(self.database.close)
        await anyio.to_thread.run_sync(self.database.start)
        self._url = self.database.create_database()
        self._connection = self._connected()
        self._stack.callback(lambda: self._connection.close())
        await self._stack.enter_async_context(self.service)
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        self.pair = (Worker("worker 1", self._tasks), Worker("worker 2", self._tasks))
        return self

    async def __aexit__(self, *exc: object) -> None:
        with anyio.CancelScope(shield=True):
            for worker in self.pair:
                await worker.end(at_once=True)
        self._tasks.cancel_scope.cancel()
        await self._stack.aclose()

    async def rows(self) -> list[Row]:
        """All rows of the ledger, in the order in which they were inserted."""
        return await anyio.to_thread.run_sync(self._read_ledger)

    def _connected(self) -> psycopg.Connection[Row]:
        return psycopg.connect(self._url, autocommit=True, row_factory=dict_row)

    def _read_ledger(self) -> list[Row]:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                if self._connection.closed:
                    self._connection = self._connected()
                return self._connection.execute("SELECT * FROM calls ORDER BY placed_at").fetchall()
            except psycopg.errors.UndefinedTable:  # no worker has used the ledger
                return []
            except psycopg.OperationalError:  # the server was killed, and comes back
                self._connection.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    async def start(self) -> None:
        """Start the workers that do not run.

        Raises:
            ServerFailedError: One does not start.
        """
        async with anyio.create_task_group() as tasks:
            for worker in self.pair:
                tasks.start_soon(self._try_to_start, worker)
        for worker in self.pair:
            if worker.port is None:
                raise ServerFailedError(f"{worker.name} did not start: {worker.stderr[-500:]}")

    def restart(self, worker: Worker, after: anyio.Event) -> None:
        """Start this one again in the background, once this event has come."""

        async def start() -> None:
            await after.wait()
            await self._try_to_start(worker)

        self._tasks.start_soon(start)

    async def _try_to_start(self, worker: Worker) -> None:
        more = {
            "DATABASE_URL": self._url,
            "SECRET_KEYS": _SECRET_KEY,
            "RATE_LIMIT": "1000000/second",
            "WAIT_SECONDS": str(WORKERS_WAIT_SECONDS),
        }
        async with self._starting:
            with suppress(ServerFailedError):  # `start` raises it again
                await worker.start(server_environment(self._home, self.service, **more))
