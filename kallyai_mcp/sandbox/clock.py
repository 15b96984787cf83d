"""The sandbox's source of time, which tests replace."""

from datetime import UTC, datetime

import anyio


class Clock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return datetime.now(UTC)

    async def sleep_until(self, moment: datetime) -> None:
        """Return when `now()` has reached `moment` (aware)."""
        # A loop, since the clock may be set back during the sleep, and a sleep may end early.
        while (left := (moment - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - there is no event to wait for
            await anyio.sleep(left)
