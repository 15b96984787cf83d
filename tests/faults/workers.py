"""Two workers, `kallyai-mcp serve --transport http`, on one Redis and one sandbox; runs take turns on them."""

import re
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Self

import anyio
import anyio.abc
import anyio.to_thread
from redis.asyncio import Redis

from tests.faults.plan import WORKERS_WAIT_SECONDS
from tests.faults.service import Service
from tests.faults.world import LEAVING_SECONDS, ServerFailed, server_environment
from tests.processes import COMMAND
from tests.redis_server import RedisServer

_STARTING_SECONDS = 60.0


class Worker:
    """One worker, which may die and be started again.

    Attributes:
        name: For the log.
        port: Where it listens; None while it doesn't.
        said: What it has said on stderr, in all its lives.
    """

    def __init__(self, name: str, tasks: anyio.abc.TaskGroup) -> None:
        self.name = name
        self.port: int | None = None
        self.said = ""
        self._tasks = tasks
        self._process: anyio.abc.Process | None = None
        self._starting = anyio.Lock()

    async def start(self, env: dict[str, str]) -> None:
        """Start it unless it runs, and return once it can be connected to.

        Raises:
            ServerFailed: It can't.
        """
        async with self._starting:
            if self.port is not None:
                return
            command = [*COMMAND, "serve", "--transport", "http", "--port", "0"]
            self._process = await anyio.open_process(command, stdout=None, env=env)
            with anyio.move_on_after(_STARTING_SECONDS):
                self.port = await self._tasks.start(self._listen, self._process)
            if self.port is None:
                raise ServerFailed(f"{self.name} did not start: {self.said[-500:]}")

    async def _listen(self, process: anyio.abc.Process, *, task_status: anyio.abc.TaskStatus[int | None]) -> None:
        """Keep what it says until it ends; it has started once it says where."""
        began, is_up = len(self.said), False
        assert process.stderr is not None
        async for chunk in process.stderr:
            self.said += chunk.decode(errors="replace")
            if not is_up and (place := re.search(r"serves http://127\.0\.0\.1:(\d+)/mcp", self.said[began:])):
                is_up = True
                task_status.started(int(place[1]))
        if not is_up:
            task_status.started(None)

    async def end(self, *, at_once: bool) -> None:
        """Kill it, or tell it to leave; return once it has gone.

        Raises:
            ServerFailed: It was told to leave, and hasn't.
        """
        process, self._process, self.port = self._process, None, None
        if process is None:
            return
        with suppress(ProcessLookupError):  # it was quicker
            (process.kill if at_once else process.terminate)()
        with anyio.move_on_after(LEAVING_SECONDS):
            await process.wait()
        if process.returncode is None:
            process.kill()
            raise ServerFailed(f"{self.name} did not end on SIGTERM")


class Workers:
    """The pair, and what it stands on. Use it as an async context manager.

    Args:
        folder: Empty; Redis's and the workers' own.
        starting: Lets only so many workers start at once: what else runs is not to starve meanwhile.

    Attributes:
        service: The sandbox.
        redis: Where the ledger is.
        eyes: A connection to it.
        pair: The workers.
    """

    pair: tuple[Worker, Worker]
    eyes: Redis
    _tasks: anyio.abc.TaskGroup

    def __init__(self, folder: Path, starting: anyio.CapacityLimiter) -> None:
        self.service = Service()
        self.redis = RedisServer(folder)
        self._home = folder / "home"
        self._starting = starting
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stack.callback(self.redis.kill)
        await anyio.to_thread.run_sync(self.redis.start)
        self.eyes = Redis.from_url(self.redis.url, decode_responses=True)
        self._stack.push_async_callback(self.eyes.aclose)
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

    async def complete(self) -> None:
        """Start who doesn't run.

        Raises:
            ServerFailed: One doesn't start.
        """
        async with anyio.create_task_group() as tasks:
            for worker in self.pair:
                tasks.start_soon(self._try_to_start, worker)
        for worker in self.pair:
            if worker.port is None:
                raise ServerFailed(f"{worker.name} did not start: {worker.said[-500:]}")

    def bring_back(self, worker: Worker) -> None:
        """Start this one again, meanwhile."""
        self._tasks.start_soon(self._try_to_start, worker)

    async def _try_to_start(self, worker: Worker) -> None:
        more = {"REDIS_URL": self.redis.url, "RATE_LIMIT": "1000000/second", "WAIT_SECONDS": str(WORKERS_WAIT_SECONDS)}
        async with self._starting:
            with suppress(ServerFailed):  # who needs it will see
                await worker.start(server_environment(self._home, self.service, **more))
