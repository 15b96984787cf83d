"""A clock that tests set by hand."""

from datetime import datetime, timedelta

import anyio

from kallyai_mcp.sandbox.clock import Clock


class ManualClock(Clock):
    """A clock that moves only when a task sleeps, to the end of its sleep, or when a test advances
    it.

    After `hold`, sleeping tasks do not move it.
    """

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._turned = anyio.Event()
        self._fell_asleep = anyio.Event()
        self._held = False
        self._sleepers = 0

    def now(self) -> datetime:
        return self._now

    async def sleep_until(self, moment: datetime) -> None:
        if not self._held:
            self._now = max(self._now, moment)
        self._sleepers += 1
        self._fell_asleep.set()
        self._fell_asleep = anyio.Event()
        try:
            while self._now < moment:
                await self._turned.wait()
        finally:
            self._sleepers -= 1

    def hold(self) -> None:
        """Stop sleeping tasks from moving the clock."""
        self._held = True

    def advance(self, **delta: float) -> None:
        """Move the clock by `timedelta(**delta)` and wake the tasks whose sleep is over."""
        self._now += timedelta(**delta)
        self._turned.set()
        self._turned = anyio.Event()

    def set(self, moment: datetime) -> None:
        """Move the clock to `moment`."""
        self.advance(seconds=(moment - self._now).total_seconds())

    async def sleepers(self, number: int) -> None:
        """Wait until at least `number` tasks sleep."""
        while self._sleepers < number:
            await self._fell_asleep.wait()
