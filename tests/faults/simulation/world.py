"""The clock of a simulated run: when all tasks wait for it, it moves to the next time that one of
them waits for.

Transactions of PostgreSQL run in threads, and overlap. One statement runs at a time, of a
transaction that the seed chooses, so that a run is the same each time.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import anyio

from kallyai_mcp.clock import Clock
from tests.calls.manual_time import all_tasks_wait

Result = TypeVar("Result")

NOON = datetime(2026, 1, 26, 18, 0, tzinfo=UTC)
"""When most runs begin: by day in all of the United States, and far from a change of the UTC
date.
"""

REAL_SECONDS = 300.0
"""Real seconds after which a run counts as hung; most take a tenth of a second, one with thousands
of calls many.
"""

SIMULATED_SECONDS = 3 * 86400.0
"""The same in simulated seconds: nothing in a run lasts for days."""


class HungError(Exception):
    """A run does not end."""


_LOOK_SECONDS = 0.005
"""Real seconds between two looks whether a statement that does not end waits for a lock."""


@dataclass(eq=False)
class _Turn:
    """A transaction that waits for its next statement.

    Attributes:
        number: How many transactions of the run began before it.
        ready_at: When its last statement is over, in seconds since the run's begin.
    """

    number: int
    ready_at: float
    is_given: asyncio.Event = field(default_factory=asyncio.Event)


class World:
    """The true time, for the service and for all processes.

    The `seed` chooses which of several open transactions goes on. A statement takes up to
    `statement_seconds`.

    Attributes:
        overlaps: Whether transactions overlap; otherwise each is done as a whole.
        count_blocked: Returns how many transactions wait for a lock of another one.
    """

    def __init__(
        self,
        begins: datetime = NOON,
        *,
        seed: int = 0,
        overlaps: bool = True,
        statement_seconds: float = 0.0,
    ) -> None:
        self.elapsed = 0.0
        self.overlaps = overlaps
        self.count_blocked: Callable[[], int] = lambda: 0
        self._begins = begins
        self._sleepers: dict[asyncio.Event, float] = {}
        self._working = 0
        self._is_idle = asyncio.Event()
        self._turns: list[_Turn] = []
        self._transactions = 0
        self._runs_alone: int | None = None
        self._seed = seed
        self._durations: dict[int, random.Random] = {}
        self._choices = random.Random(f"turns {seed}")  # noqa: S311 - it has to be repeatable, not secret
        self._statement_seconds = statement_seconds
        self._is_over = False

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

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around a wait within `working`, during which time passes."""
        self._working -= 1
        self._is_idle.set()
        try:
            yield
        finally:
            self._working += 1

    def new_transaction(self) -> int:
        """The number of a transaction that is about to begin; see `turn`."""
        self._transactions += 1
        return self._transactions

    def runs_alone(self, number: int) -> bool:
        """Whether no other transaction can begin before this one has ended, so that it need not
        wait for turns.
        """
        return self._runs_alone == number or self._is_over

    async def turn(self, number: int) -> None:
        """Return when it is the turn of a transaction; within `working`, in the thread of the event
        loop.
        """
        if self._is_over:
            return
        turn = _Turn(number, self.elapsed + self._duration_of_statement(number))
        self._turns.append(turn)
        try:
            with self.waiting():
                await turn.is_given.wait()
        finally:
            self._turns.remove(turn)

    async def run(self, work: Awaitable[Result]) -> Result:
        """Do `work` while time passes; raises `HungError` if it does not end."""
        task = asyncio.ensure_future(work)
        try:
            with anyio.fail_after(REAL_SECONDS):
                while not task.done():
                    await self._everything_waits(task)
                    if not task.done() and not self._give_turn():
                        await self._advance()
        except TimeoutError:
            raise HungError(f"no end after {REAL_SECONDS:g} real seconds") from None
        finally:
            self._is_over = True
            for turn in self._turns:
                turn.is_given.set()
            if not task.done():
                task.cancel()
        return task.result()

    def _duration_of_statement(self, number: int) -> float:
        """The seconds that the next statement of a transaction takes.

        Each transaction has choices of its own: two threads that waited for one lock may come back
        in either order.
        """
        choices = self._durations.setdefault(
            number,
            random.Random(f"statements {self._seed} {number}"),  # noqa: S311
        )
        return choices.uniform(0, self._statement_seconds)

    def _give_turn(self) -> bool:
        """Let one of the transactions that wait run its next statement; returns whether there was
        one.
        """
        ready = [turn for turn in self._turns if turn.ready_at <= self.elapsed + 1e-9]
        if not ready:
            return False
        # Sorted, for the reason that `_duration_of_statement` gives.
        turn = self._choices.choice(sorted(ready, key=lambda turn: turn.number))
        is_alone = len(self._turns) == 1 and self._working == 0 and not self._statement_seconds
        self._runs_alone = turn.number if is_alone else None
        turn.is_given.set()
        return True

    async def _advance(self) -> None:
        ends = [end for awake, end in self._sleepers.items() if not awake.is_set()]
        ends += [turn.ready_at for turn in self._turns]
        if not ends:
            # Something waits for real time, such as a tool's own time-out.
            await asyncio.sleep(0.001)
            return
        self.elapsed = max(self.elapsed, min(ends))
        if self.elapsed > SIMULATED_SECONDS:
            raise HungError(f"no end after {SIMULATED_SECONDS:g} simulated seconds")
        for awake, end in self._sleepers.items():
            if end <= self.elapsed + 1e-9:
                awake.set()

    async def _everything_waits(self, done: "asyncio.Future[Result]") -> None:
        """Return once every other task waits for something and no thread works, or `done` is.

        A thread whose statement waits for a lock does not work, if another transaction is there
        that may release it.
        """
        takes_long = False
        while True:
            await all_tasks_wait(done)
            if not self._working or done.done():
                return
            if takes_long and self.count_blocked() == self._working:
                return
            self._is_idle.clear()
            with anyio.move_on_after(_LOOK_SECONDS if self._turns else None) as waiting:
                await self._is_idle.wait()
            takes_long = waiting.cancelled_caught


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
            await self._world.sleep(
                max(end - self.monotonic(), 0.0) if math.isnan(self._frozen_at) else 1.0
            )
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
