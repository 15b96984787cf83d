"""The clock of everything that places calls. Tests replace it."""

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import anyio


def moment(seconds: float) -> datetime:
    """A time in the ledger (seconds since the epoch) as an aware time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def moment_or_none(seconds: float | None) -> datetime | None:
    """`moment` for a column that may be NULL."""
    return moment(seconds) if seconds is not None else None


def seconds_or_none(time: datetime | None) -> float | None:
    """The seconds since the epoch that the ledger stores for a time; None for None."""
    return time.timestamp() if time is not None else None


def pauses(first: float, longest: float) -> Iterator[float]:
    """The seconds to wait before each next try, without an end: `first`, then twice as long each
    time.
    """
    pause = first
    while True:
        yield min(pause, longest)
        pause *= 2


class Clock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """The wall-clock time, aware. It may jump: a user or a time server can set it."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since an arbitrary start, which never jump.

        On Linux and macOS they stop while it is suspended.
        """
        return time.monotonic()  # not the event loop's: the ledger calls this in a thread

    def continuous(self) -> float:
        """Seconds since an arbitrary start, which never jump, and go on while the machine is
        suspended.
        """
        if sys.platform == "linux":
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        elif sys.platform == "darwin":  # noqa: RET505 - mypy knows the platform
            # Goes on while suspended, unlike `time.monotonic`.
            return time.clock_gettime(time.CLOCK_MONOTONIC)
        else:
            return time.monotonic()  # goes on while suspended on Windows

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of `monotonic`."""
        await anyio.sleep(seconds)

    def move_on_after(self, seconds: float) -> AbstractContextManager[object]:
        """A context that ends its block, without an error, after `seconds` of `monotonic`."""
        return anyio.move_on_after(seconds)


class Stopwatch:
    """Measures the time since its creation by two clocks: `Clock.continuous` and the wall clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall = clock.now()
        self._continuous = clock.continuous()

    def passed(self) -> float:
        """Seconds by `Clock.continuous`.

        They may lack the time while a virtual machine was paused. To refuse what would come too
        late, use `longest`.
        """
        return self._clock.continuous() - self._continuous

    def drift(self) -> float:
        """How many seconds more the wall clock shows than `passed`: it was set, or a virtual
        machine was paused.
        """
        return (self._clock.now() - self._wall).total_seconds() - self.passed()

    def longest(self) -> float:
        """The most seconds that may have passed: those of the clock that shows more of them."""
        return self.passed() + max(0.0, self.drift())
