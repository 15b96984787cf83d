"""The world of one run: a sandbox over real HTTP, server processes on one folder, and eyes that nothing deceives."""

import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import anyio
import anyio.abc
import anyio.to_thread
import httpx
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter

from kallyai_mcp.sandbox.app import SandboxApp, create_app
from kallyai_mcp.sandbox.faults import FaultPlan
from kallyai_mcp.sandbox.serve import running
from tests.faults.plan import SETTLE_SECONDS, SPEED, Plan, Step
from tests.processes import COMMAND, environment

LEAVING_SECONDS = 10.0
"""After how long a server that was told to leave counts as hung; on an idle machine it takes less than 2 s."""

_LONGEST_LINE = 10_000_000
_GLANCE, _LONG_GLANCE = 0.002, 0.02  # seconds between two looks into the ledger: for a step to come at once, or late


class ServerFailed(Exception):  # noqa: N818 - it says what happened
    """A server did not start, or did not end."""


Row = dict[str, Any]
"""A row of the ledger, by its columns' names."""


class Server:
    """One `python -m kallyai_mcp`, and the SDK's client connected to it."""

    def __init__(self, process: anyio.abc.Process, client: Client, name: str) -> None:
        self.client = client
        self.name = name
        self._process = process
        self._leave = anyio.Event()
        self._left = anyio.Event()

    async def kill(self) -> None:
        """Kill -9, and return once it is dead."""
        with suppress(ProcessLookupError):  # it was quicker
            self._process.kill()
        await self._process.wait()

    async def terminate(self) -> None:
        """SIGTERM (on Windows the same as `kill`), and return once it has gone.

        Raises:
            ServerFailed: It hasn't.
        """
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


class World:
    """Use it as an async context manager.

    Args:
        plan: Which faults, and how servers are set.
        folder: Empty; becomes `KALLYAI_HOME`, and keeps what the servers say on stderr.
        starting: Lets only so many servers start at once: what else runs is not to starve meanwhile.

    Attributes:
        token: The access token, of which nobody may say a word.
        hung: The servers that did not end when they were told to leave.
    """

    _wire: httpx.AsyncClient
    _url: str
    _tasks: anyio.abc.TaskGroup

    def __init__(self, plan: Plan, folder: Path, starting: anyio.CapacityLimiter) -> None:
        self._plan = plan
        self._folder = folder
        self._home = folder / "home"
        self._starting = starting
        self._stack = AsyncExitStack()
        self._app: SandboxApp = create_app(speed=SPEED)
        self.token: str = self._app.state.sandbox.issue_tokens("acct-business")["access_token"]
        self.hung: list[str] = []
        self._servers = 0

    async def __aenter__(self) -> Self:
        self._stack.callback(self._app.state.sandbox.close)
        self._wire = await self._stack.enter_async_context(
            # Without a socket, so that looking can't fail; the servers come over the network.
            httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://sandbox", trust_env=False)
        )
        self._url = await self._stack.enter_async_context(running(self._app))
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._tasks.cancel_scope.cancel()
        await self._stack.aclose()

    # The service

    async def misbehave(self) -> None:
        """Arm the plan's faults."""
        await self._arm(self._plan.faults)

    async def calm(self) -> dict[str, int]:
        """Disarm the faults, though not the quirks; returns how often each kind has fired."""
        fired: dict[str, int] = (await self._get("/_sandbox/faults"))["fired"]
        await self._arm(self._plan.faults.model_copy(update={"faults": []}))
        return fired

    async def placed(self) -> list[dict[str, Any]]:
        """Every call that was really placed."""
        calls: list[dict[str, Any]] = (await self._get("/_sandbox/calls"))["calls"]
        return calls

    async def until_all_calls_are_over(self) -> None:
        """Wait for the end of whatever the service still has under way."""
        ends = [datetime.fromisoformat(call["ends_at"]) for call in await self.placed()]
        await self._app.state.sandbox.clock.sleep_until(max(ends, default=datetime.now(UTC)))

    async def _arm(self, faults: FaultPlan) -> None:
        answer = await self._wire.put("/_sandbox/faults", json=faults.model_dump(mode="json"))
        answer.raise_for_status()

    async def _get(self, path: str) -> Any:
        answer = await self._wire.get(path)
        return answer.raise_for_status().json()

    # The servers

    async def open(self) -> Server:
        """Start one more server, and connect to it.

        Raises:
            ServerFailed: It doesn't answer.
        """
        self._servers += 1
        name = f"server {self._servers}"
        try:
            async with self._starting:
                server: Server = await self._tasks.start(self._host, name)
        except (MCPError, ExceptionGroup) as error:
            raise ServerFailed(f"{name} did not start: {error!r}") from error
        return server

    async def _host(self, name: str, *, task_status: anyio.abc.TaskStatus[Server]) -> None:
        env = environment(
            self._home,
            API_URL=self._url,
            ACCESS_TOKEN=self.token,
            SETTLE_SECONDS=str(SETTLE_SECONDS),
            WAIT_SECONDS=str(self._plan.setting_seconds),
        )
        # Measuring coverage slows each start, and what is killed can't report it.
        env = {key: value for key, value in env.items() if not key.startswith("COV")}
        async with await anyio.open_file(self._folder / f"{name}.stderr", "wb") as errors:
            process = await anyio.open_process(COMMAND, stderr=errors.wrapped, env=env)
        async with process:
            try:
                async with Client(_over_stdio(process), mode=self._plan.mode) as client:
                    server = Server(process, client, name)
                    task_status.started(server)
                    await server.serve()
            finally:
                if process.returncode is None:
                    self.hung.append(name)
                    process.kill()
        server.gone()

    def stderr(self) -> dict[str, str]:
        """What each server has said on stderr."""
        return {
            file.stem: file.read_text(encoding="utf-8", errors="replace")
            for file in sorted(self._folder.glob("*.stderr"))
        }

    # The ledger

    async def rows(self) -> list[Row]:
        """The ledger's rows, in the order in which they were made."""
        return await anyio.to_thread.run_sync(self._read_ledger)

    async def until(self, step: Step, seconds: float) -> None:
        """Return at once when some call has come to `step`, or past it; at the latest after `seconds`."""
        stop = threading.Event()
        pause = _GLANCE if step in (Step.PREPARED, Step.SENT) else _LONG_GLANCE

        def watch() -> None:
            while not self._has_come_to(step) and not stop.wait(pause):
                pass

        try:
            with anyio.move_on_after(seconds):
                await anyio.to_thread.run_sync(watch, abandon_on_cancel=True)
        finally:
            stop.set()

    def _has_come_to(self, step: Step) -> bool:
        order = list(Step)
        return any(order.index(step_of(row)) >= order.index(step) for row in self._read_ledger())

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


def step_of(row: Row) -> Step:
    """How far this row has come."""
    if row["state"] == "prepared":
        return Step.PREPARED
    if row["state"] == "sent":
        return Step.LOST if row["lost_at"] is not None else Step.SENT
    return Step.HANDED_OUT if row["handed_out"] else Step.ENDED


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
