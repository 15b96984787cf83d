"""A system of servers over stdio: processes that share one folder, with the ledger in SQLite."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any, Self, cast

import anyio
import anyio.abc
import anyio.to_thread
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter

from tests.clocks.shifted_clock import LIBRARY
from tests.faults.plans import CLOCK_JUMPS_AT, Plan, Step
from tests.faults.server_process import start
from tests.faults.service import Service
from tests.faults.system import (
    SHUTDOWN_SECONDS,
    Row,
    Server,
    ServerFailedError,
    System,
    any_is_at,
    poll_seconds,
    server_environment,
)

_MAX_LINE = 10_000_000


class StdioServer(Server):
    """One `python -m kallyai_mcp` process, and the SDK's client that is connected to it.

    Args:
        process: The process.
        client: The client.
        name: See `Server`.
        reading: Canceled when the client will read nothing more.
    """

    def __init__(self, process: anyio.abc.Process, client: Client, name: str, reading: anyio.CancelScope) -> None:
        super().__init__(client, name)
        self._process = process
        self._reading = reading
        self._unread: asyncio.ReadTransport | None = None
        self._leave = anyio.Event()
        self._left = anyio.Event()

    async def kill(self) -> None:
        """See `Server.kill`."""
        with suppress(ProcessLookupError):  # it has ended by itself
            self._process.kill()
        await self._ended()

    async def terminate(self) -> None:
        """See `Server.terminate`."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        with anyio.move_on_after(SHUTDOWN_SECONDS):
            await self._ended()
        if self._process.returncode is None:
            raise ServerFailedError(f"{self.name} did not end on SIGTERM")

    async def leave(self) -> None:
        """See `Server.leave`. After `stop_reading`, its stdout is closed as well."""
        if self._unread is not None:
            self._unread.close()
            self._reading.cancel()
        self._leave.set()
        await self._left.wait()

    def stop_reading(self) -> None:
        """Leave unread what the server writes from now on."""
        self._unread = cast("Any", self._process.stdout)._stream._transport  # noqa: SLF001 - has no public name
        self._unread.pause_reading()

    async def list_tools(self) -> None:
        """Ask for the list of tools; no error if there is no answer."""
        with suppress(MCPError):
            await self.client.list_tools()

    async def _ended(self) -> None:
        """Wait until the process has ended. What was not read until then never is."""
        if self._unread is not None:
            self._reading.cancel()
        await self._process.wait()

    async def serve(self) -> None:
        """Keep the connection open until `leave` is called."""
        await self._leave.wait()

    def mark_ended(self) -> None:
        """Let `leave` return."""
        self._left.set()


class StdioSystem(System):
    """A sandbox, and any number of servers that share a folder.

    Args:
        plan: The faults, and the servers' settings.
        folder: An empty folder for `KALLYAI_HOME` and the servers' stderr.
        starting: Limits how many servers start at the same time, which would slow everything else.
        command: Starts a server; None for the program as it is.
    """

    _tasks: anyio.abc.TaskGroup

    def __init__(
        self, plan: Plan, folder: Path, starting: anyio.CapacityLimiter, command: Sequence[str] | None = None
    ) -> None:
        super().__init__(plan, Service())
        self._command = command
        self._folder = folder
        self._home = folder / "home"
        self._starting = starting
        self._stack = AsyncExitStack()
        self._servers = 0
        self._clock = folder / "clock"
        self._is_clock_set = False
        self._clock.write_text(f"{plan.clock_ahead:+}")

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.service)
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._tasks.cancel_scope.cancel()
        await self._stack.aclose()

    async def arm_faults(self) -> None:
        """See `System.arm_faults`; soon after, the clock is set if the plan says so."""
        await super().arm_faults()
        if self.plan.clock_jumps and LIBRARY is not None:
            self._tasks.start_soon(self._set_clock)

    async def disarm_faults(self) -> dict[str, int]:
        """See `System.disarm_faults`."""
        fired = await super().disarm_faults()
        if self.plan.clock_ahead and LIBRARY is not None:
            fired |= {"the clock differs": 1, "the clock is set": int(self._is_clock_set)}
        return fired

    async def _set_clock(self) -> None:
        await anyio.sleep(CLOCK_JUMPS_AT)
        new = self._clock.with_suffix(".new")
        new.write_text(f"{self.plan.clock_ahead + self.plan.clock_jumps:+}")
        new.replace(self._clock)  # no server reads half of it
        self._is_clock_set = True
        self.note(f"the clock is set by {self.plan.clock_jumps} s")

    # The servers

    async def open(self) -> Server:
        """Start one more server. See `System.open`."""
        self._servers += 1
        name = f"server {self._servers}"
        try:
            async with self._starting:
                server: StdioServer = await self._tasks.start(self._host, name)
        except (MCPError, ExceptionGroup) as error:
            raise ServerFailedError(f"{name} did not start: {error!r}") from error
        return server

    async def _host(self, name: str, *, task_status: anyio.abc.TaskStatus[StdioServer]) -> None:
        env = server_environment(self._home, self.service, WAIT_SECONDS=str(self.plan.setting_seconds))
        if self.plan.clock_ahead and LIBRARY is not None:
            env |= {
                "LD_PRELOAD": str(LIBRARY),
                "FAKETIME_TIMESTAMP_FILE": str(self._clock),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "DONT_FAKE_MONOTONIC": "1",  # before libfaketime 0.9.10
            }
        stderr, reading = self._folder / f"{name}.stderr", anyio.CancelScope()
        process = await start([], env, stderr=stderr, command=self._command)
        async with process:
            try:
                async with Client(_over_stdio(process, reading), mode=self.plan.mode) as client:
                    server = StdioServer(process, client, name, reading)
                    task_status.started(server)
                    await server.serve()
            finally:
                if process.returncode is None:
                    self.hung.append(name)
                    process.kill()
        server.mark_ended()

    def stderr(self) -> dict[str, str]:
        """See `System.stderr`."""
        return {
            file.stem: file.read_text(encoding="utf-8", errors="replace")
            for file in sorted(self._folder.glob("*.stderr"))
        }

    # The ledger

    async def rows(self) -> list[Row]:
        """See `System.rows`."""
        return await anyio.to_thread.run_sync(self._read_ledger)

    async def wait_for(self, step: Step, seconds: float) -> None:
        """See `System.wait_for`."""
        stop = threading.Event()
        pause = poll_seconds(step)

        def watch() -> None:
            while not any_is_at(step, self._read_ledger()) and not stop.wait(pause):
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
        except sqlite3.OperationalError:  # another process is creating it
            return []


@asynccontextmanager
async def _over_stdio(process: anyio.abc.Process, reading: anyio.CancelScope) -> AsyncIterator[Any]:
    """The SDK's streams to a process that the test can kill; the SDK's own transport does not expose its process.

    When `reading` is canceled, the stream from the process ends.
    """
    to_client, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, from_client = anyio.create_memory_object_stream[SessionMessage](0)
    stdin = process.stdin
    assert stdin is not None
    assert process.stdout is not None
    lines = BufferedByteReceiveStream(process.stdout)

    async def read() -> None:
        async with to_client:
            with reading:
                while True:
                    line = await lines.receive_until(b"\n", _MAX_LINE)
                    await to_client.send(SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False)))

    async def write() -> None:
        async for message in from_client:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            await stdin.send(f"{text}\n".encode())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_run_until_closed, read)
        tasks.start_soon(_run_until_closed, write)
        try:
            yield incoming, outgoing
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await stdin.aclose()
                with anyio.move_on_after(SHUTDOWN_SECONDS):
                    await process.wait()
            for stream in (to_client, incoming, outgoing, from_client):
                stream.close()


async def _run_until_closed(work: Callable[[], Awaitable[None]]) -> None:
    broken = (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
    with suppress(*broken):  # the process has ended
        await work()
