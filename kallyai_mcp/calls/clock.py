"""The one clock of the call worker, so that a test can replace it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import anyio


class Clock(Protocol):
    """What time it is, and waiting."""

    def now(self) -> datetime:
        """The wall-clock time, aware. It may jump: a user or a time server can set it."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow while the machine runs; the start is arbitrary."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds of `monotonic`."""
        ...


class SystemClock:
    """The machine's clock.

    Args:
        now: A wall clock in place of the machine's.
    """

    def __init__(self, now: Callable[[], datetime] | None = None) -> None:
        self._now = now

    def now(self) -> datetime:
        """See `Clock.now`."""
        return self._now() if self._now is not None else datetime.now(UTC)

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return anyio.current_time()

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        await anyio.sleep(seconds)
