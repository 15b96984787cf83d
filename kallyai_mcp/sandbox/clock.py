"""What time it is in the sandbox, and waiting for a moment, as one thing that tests can replace."""

from datetime import UTC, datetime
from typing import Protocol

import anyio


class Clock(Protocol):
    """The sandbox's only source of time."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...

    async def sleep_until(self, moment: datetime) -> None:
        """Return once `now()` has reached `moment` (aware)."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)

    async def sleep_until(self, moment: datetime) -> None:
        """Return once the machine's clock has reached `moment` (aware)."""
        # Not a poll: a clock that was set back meanwhile, or a sleep cut short, means sleeping on.
        while (left := (moment - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - nobody could set an event
            await anyio.sleep(left)
