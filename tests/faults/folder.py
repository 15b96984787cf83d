"""A world of servers over stdio: processes on one folder, with the ledger in SQLite."""

import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any, Self

import anyio
import anyio.abc
import anyio.to_thread
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter

from tests.faults.plan import Plan, Step
from tests.faults.service import Service
from tests.faults.world import (
    LEAVING_SECONDS,
    Row,
    Server,
    ServerFailed,
    World,
    any_has_come_to,
    glance,
    server_environment,
)
from tests.processes import COMMAND

_LONGEST_LINE = 10_000_000


class StdioServer(Server):
    """One `python -m kallyai_mcp`, and the SDK's client connected to it."""

    def __init__(self, process: anyio.abc.Process, client: Client, name: str) -> None:
        super().__init__(client, name)
        self._process = process
        self._leave = anyio.Event()
        self._left = anyio.Event()

    async def kill(self) -> None:
        """See `Server.kill`."""
        with suppress(ProcessLookupError):  # it was quicker
            self._process.kill()
        await self._process.wait()

    async def terminate(self) -> None:
        """See `Server.terminate`."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        with anyio.move_on_after(LEAVING_SECONDS):
            await self._process.wait()
        if self._process.returncode is None:
            raise ServerFailed(f"{self.name} did not end on SIGTERM")

    async def leave(self) -> None:
        """Close its stdin, and return once it has gone."""
        self._leave.set()
        await self._left.wait()

    async def serve(self) -> None:
        """Stay connected until somebody has it `leave`."""
        await self._leave.wait()

    def gone(self) -> None:
        """Let go who waits in `leave`."""
        self._left.set()


class Folder(World):
    """A sandbox, and a folder on which any number of servers run.

    Args:
        plan: Which faults, and how servers are set.
        folder: Empty; becomes `KALLYAI_HOME`, and keeps what the servers say on stderr.
        starting: Lets only so many servers start at once: what else runs is not to starve meanwhile.
    """

    _tasks: anyio.abc.TaskGroup

    def __init__(self, plan: Plan, folder: Path, starting: anyio.CapacityLimiter) -> None:
        super().__init__(plan, Service())
        self._folder = folder
        self._home = folder / "home"
        self._starting = starting
        self._stack = AsyncExitStack()
        self._servers = 0

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.service)
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._tasks.cancel_scope.cancel()
        await self._stack.aclose()

    # The servers

    async def open(self) -> Server:
        """Start one more server, and connect to it; see `World.open`."""
        self._servers += 1
        name = f"server {self._servers}"
        try:
            async with self._starting:
                server: StdioServer = await self._tasks.start(self._host, name)
        except (MCPError, ExceptionGroup) as error:
            raise ServerFailed(f"{name} did not start: {error!r}") from error
        return server

    async def _host(self, name: str, *, task_status: anyio.abc.TaskStatus[StdioServer]) -> None:
        env = server_environment(self._home, self.service, WAIT_SECONDS=str(self.plan.setting_seconds))
        async with await anyio.open_file(self._folder / f"{name}.stderr", "wb") as errors:
            process = await anyio.open_process(COMMAND, stderr=errors.wrapped, env=env)
        async with process:
            try:
                async with Client(_over_stdio(process), mode=self.plan.mode) as client:
                    server = StdioServer(process, client, name)
                    task_status.started(server)
                    await server.serve()
            finally:
                if process.returncode is None:
                    self.hung.append(name)
                    process.kill()
        server.gone()

    def stderr(self) -> dict[str, str]:
        """See `World.stderr`."""
        return {
            file.stem: file.read_text(encoding="utf-8", errors="replace")
            for file in sorted(self._folder.glob("*.stderr"))
        }

    # The ledger

    async def rows(self) -> list[Row]:
        """See `World.rows`."""
        return await anyio.to_thread.run_sync(self._read_ledger)

    async def until(self, step: Step, seconds: float) -> None:
        """See `World.until`."""
        stop = threading.Event()
        pause = glance(step)

        def watch() -> None:
            while not any_has_come_to(step, self._read_ledger()) and not stop.wait(pause):
                pass

        try:
            with anyio.move_on_after(seconds):
                await anyio.to_thread.run_sync(watch, abandon_on_cancel=True)
        finally:
            stop.set()

    def _read_ledger(self) -> list[Row]:
        path = self._home / "ledger.db"
        if not path.exists():
            return []
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as db:
                db.row_factory = sqlite3.Row
                return [dict(row) for row in db.execute("SELECT * FROM calls ORDER BY placed_at, rowid")]
        except sqlite3.OperationalError:  # it is just being made
            return []


@asynccontextmanager
async def _over_stdio(process: anyio.abc.Process) -> AsyncIterator[Any]:
    """The SDK's streams to a process that can be killed: the SDK's own transport keeps its process to itself."""
    to_client, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, from_client = anyio.create_memory_object_stream[SessionMessage](0)
    stdin = process.stdin
    assert stdin is not None
    assert process.stdout is not None
    lines = BufferedByteReceiveStream(process.stdout)

    async def read() -> None:
        async with to_client:
            while True:
                line = await lines.receive_until(b"\n", _LONGEST_LINE)
                await to_client.send(SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False)))

    async def write() -> None:
        async for message in from_client:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            await stdin.send(f"{text}\n".encode())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_until_it_breaks, read)
        tasks.start_soon(_until_it_breaks, write)
        try:
            yield incoming, outgoing
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await stdin.aclose()
                with anyio.move_on_after(LEAVING_SECONDS):
                    await process.wait()
            for stream in (to_client, incoming, outgoing, from_client):
                stream.close()


async def _until_it_breaks(work: Callable[[], Awaitable[None]]) -> None:
    broken = (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
    with suppress(*broken):  # the other end has gone
        await work()
