"""The one clock of the call worker, so that a test can replace it."""

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import anyio


class Clock:
    """The machine's clock; `now` may take the place of its wall clock."""

    def __init__(self, now: Callable[[], datetime] | None = None) -> None:
        self._wall_clock = now

    def now(self) -> datetime:
        """The wall-clock time, aware. It may jump: a user or a time server can set it."""
        return self._wall_clock() if self._wall_clock is not None else datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only grow while the machine runs; the start is arbitrary."""
        return time.monotonic()  # the ledger asks in a thread, which has no event loop

    def continuous(self) -> float:
        """The same, but they also grow while the machine is suspended."""
        if sys.platform == "linux":
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        elif sys.platform == "darwin":  # noqa: RET505 - mypy knows the platform
            return time.clock_gettime(time.CLOCK_MONOTONIC)  # goes on meanwhile, unlike `time.monotonic`
        else:
            return time.monotonic()  # goes on meanwhile on Windows

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds of `monotonic`."""
        await anyio.sleep(seconds)

    def move_on_after(self, seconds: float) -> AbstractContextManager[object]:
        """End the block, without an error, after so many seconds of `monotonic`."""
        return anyio.move_on_after(seconds)


class Stopwatch:
    """Time that passes from its creation, by two clocks: one that goes on evenly, and the wall clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall = clock.now()
        self._continuous = clock.continuous()

    def passed(self) -> float:
        """Seconds while the machine ran or was suspended, whatever the wall clock says.

        The pause of a virtual machine may be missing, so nothing that must not happen late depends on it alone.
        """
        return self._clock.continuous() - self._continuous

    def drift(self) -> float:
        """How many seconds more passed on the wall clock: it was set, or a virtual machine paused."""
        return (self._clock.now() - self._wall).total_seconds() - self.passed()

    def longest(self) -> float:
        """The most seconds that may have passed: by the clock that tells more of them."""
        return self.passed() + max(0.0, self.drift())
