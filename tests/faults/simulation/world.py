"""The clock of a simulated run: when all tasks wait for it, it moves to the next time that one of them waits for."""

import asyncio
import math
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import anyio

from kallyai_mcp.clock import Clock
from tests.calls.manual_time import all_tasks_wait

Result = TypeVar("Result")

NOON = datetime(2026, 1, 26, 18, 0, tzinfo=UTC)
"""When most runs begin: by day in all of the United States, and far from a change of the UTC date."""

REAL_SECONDS = 300.0
"""Real seconds after which a run counts as hung; most take a tenth of a second, one with thousands of calls many."""

SIMULATED_SECONDS = 3 * 86400.0
"""The same in simulated seconds: nothing in a run lasts for days."""


class HungError(Exception):
    """A run does not end."""


class World:
    """The true time, for the service and for all processes."""

    def __init__(self, begins: datetime = NOON) -> None:
        self.elapsed = 0.0
        self._begins = begins
        self._sleepers: dict[asyncio.Event, float] = {}
        self._working = 0
        self._is_idle = asyncio.Event()

    def now(self) -> datetime:
        """The true time."""
        return self._begins + timedelta(seconds=self.elapsed)

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        awake = asyncio.Event()
        self._sleepers[awake] = self.elapsed + max(seconds, 0.0)
        try:
            await awake.wait()
        finally:
            del self._sleepers[awake]

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around work in a thread, during which no time passes."""
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
            self._is_idle.set()

    async def run(self, work: Awaitable[Result]) -> Result:
        """Do `work` while time passes; raises `HungError` if it does not end."""
        task = asyncio.ensure_future(work)
        try:
            with anyio.fail_after(REAL_SECONDS):
                while not task.done():
                    await self._everything_waits(task)
                    if not task.done():
                        await self._advance()
        except TimeoutError:
            raise HungError(f"no end after {REAL_SECONDS:g} real seconds") from None
        finally:
            if not task.done():
                task.cancel()
        return task.result()

    async def _advance(self) -> None:
        ends = [end for awake, end in self._sleepers.items() if not awake.is_set()]
        if not ends:
            await asyncio.sleep(0.001)  # something waits for real time, such as a tool's own time-out
            return
        self.elapsed = max(self.elapsed, min(ends))
        if self.elapsed > SIMULATED_SECONDS:
            raise HungError(f"no end after {SIMULATED_SECONDS:g} simulated seconds")
        for awake, end in self._sleepers.items():
            if end <= self.elapsed + 1e-9:
                awake.set()

    async def _everything_waits(self, done: "asyncio.Future[Result]") -> None:
        """Return once every other task waits for something and no thread works, or `done` is."""
        while True:
            await all_tasks_wait(done)
            if not self._working or done.done():
                return
            self._is_idle.clear()
            await self._is_idle.wait()


class ProcessClock(Clock):
    """The clock of one process, whose wall clock is `ahead` by so many seconds."""

    def __init__(self, world: World, ahead: float) -> None:
        self._world = world
        self.ahead = ahead
        self._frozen_at = math.nan
        self._frozen_seconds = 0.0

    def now(self) -> datetime:
        return self._world.now() + timedelta(seconds=self.ahead)

    def monotonic(self) -> float:
        end = self._world.elapsed if math.isnan(self._frozen_at) else self._frozen_at
        return end - self._frozen_seconds

    def continuous(self) -> float:
        return self._world.elapsed

    async def sleep(self, seconds: float) -> None:
        end = self.monotonic() + seconds
        while True:
            await self._world.sleep(max(end - self.monotonic(), 0.0) if math.isnan(self._frozen_at) else 1.0)
            if self.monotonic() >= end - 1e-9 and math.isnan(self._frozen_at):
                return

    @contextmanager
    def move_on_after(self, seconds: float) -> Iterator[anyio.CancelScope]:
        scope = anyio.CancelScope()

        async def cancel() -> None:
            await self.sleep(seconds)
            scope.cancel()

        canceling = asyncio.ensure_future(cancel())
        try:
            with scope:
                yield scope
        finally:
            canceling.cancel()

    def freeze(self) -> None:
        """The machine is suspended: its monotonic clock stands still."""
        self._frozen_at = self._world.elapsed

    def thaw(self) -> None:
        """The machine goes on."""
        if not math.isnan(self._frozen_at):
            self._frozen_seconds += self._world.elapsed - self._frozen_at
            self._frozen_at = math.nan
