"""A clock that moves only when a test moves it, so that no test of calls waits for a real pause."""

import asyncio
import math
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from kallyai_mcp.clock import Clock

if TYPE_CHECKING:  # the simulation imports this before it breaks the ledger
    from tests.calls.ledgers import WatchedDatabase

Result = TypeVar("Result")

LIMIT = 600
"""Real seconds until something that should have happened counts as hung."""


class ManualClock(Clock):
    """A `Clock` that stands still until it is advanced."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._elapsed = 0.0
        self._suspended = 0.0
        self._sleepers: dict[asyncio.Event, float] = {}
        self._timeouts: dict[anyio.CancelScope, float] = {}
        self.databases: list[WatchedDatabase] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    def continuous(self) -> float:
        return self._elapsed + self._suspended

    async def sleep(self, seconds: float) -> None:
        awake = asyncio.Event()
        self._sleepers[awake] = self._elapsed + seconds
        try:
            await awake.wait()
        finally:
            del self._sleepers[awake]

    @contextmanager
    def move_on_after(self, seconds: float) -> Iterator[None]:
        with anyio.CancelScope() as scope:
            self._timeouts[scope] = self._elapsed + seconds
            try:
                yield
            finally:
                del self._timeouts[scope]

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._elapsed += seconds
        self._now += timedelta(seconds=seconds)
        for scope, end in self._timeouts.items():
            if end <= self._elapsed + 1e-9:
                scope.cancel()
        for awake, end in self._sleepers.items():
            if end <= self._elapsed + 1e-9:
                awake.set()

    def suspend(self, seconds: float) -> None:
        """Suspend the machine for so many seconds."""
        self._suspended += seconds
        self._now += timedelta(seconds=seconds)

    def set_wall_clock(self, seconds: float) -> None:
        """Set the wall clock by so many seconds, forward or back; no time passes."""
        self._now += timedelta(seconds=seconds)

    def until_next(self) -> float:
        """Seconds until the first sleeper wakes or the first time-out expires."""
        ends = [end for awake, end in self._sleepers.items() if not awake.is_set()]
        ends += [end for scope, end in self._timeouts.items() if not scope.cancel_called]
        return max(0.0, min(ends, default=math.inf) - self._elapsed)


async def run(clock: ManualClock, work: Awaitable[Result]) -> Result:
    """Do `work`, and let time pass whenever everything waits for it to pass."""
    task = asyncio.ensure_future(work)
    with anyio.fail_after(LIMIT):
        while True:
            await all_tasks_wait(task)
            if task.done():
                return task.result()
            busy = [database for database in clock.databases if database.is_busy]
            if busy:
                await busy[0].idle()
            elif clock.until_next() < math.inf:
                clock.advance(clock.until_next())


async def all_tasks_wait(until: "asyncio.Future[Any]") -> None:
    """Return once every other task waits for something, or `until` is done."""
    this = asyncio.current_task()
    turns = 0
    while not until.done():
        await asyncio.sleep(0)
        others = (task for task in asyncio.all_tasks() if task is not this)
        waiters = (getattr(task, "_fut_waiter", None) for task in others)
        turns = (
            turns + 1 if all(waiter is not None and not waiter.done() for waiter in waiters) else 0
        )
        # The end of a task reaches those that wait for it one turn of the loop later.
        if turns == 2:
            return
