"""What wakes the work in the background: a signal, a change of the ledger, or a time."""

import anyio

from kallyai_mcp.clock import Clock, Stopwatch

_EARLY = 0.02
"""How many seconds early a timer may end."""


class Signal:
    """Wakes the task that waits for it; once more if it is set while that task works."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        """Wake the task that waits, or the next time that it does."""
        self._event.set()

    async def wait(self) -> None:
        """Return when it is set, or was set since the last `wait` returned."""
        await self._event.wait()
        self._event = anyio.Event()

    async def wait_for(self, seconds: float, clock: Clock) -> bool:
        """`wait` for at most so many seconds; returns whether it was set."""
        with clock.move_on_after(seconds):
            await self.wait()
            return True
        return False  # type: ignore[unreachable]  # after the time, which mypy does not see


class LedgerChanges:
    """Tells from the versions of the ledger (`Database.version`) whether it may have changed.

    A change counts at two looks, because the version may not show another one at about the same
    time.
    """

    def __init__(self) -> None:
        self._two_looks_ago: object = None
        self._one_look_ago: object = None
        self._now: object = None

    def look(self, version: object) -> None:
        """Take note of the version now; None while there is no ledger."""
        self._two_looks_ago = self._one_look_ago
        self._one_look_ago = self._now
        self._now = version

    @property
    def has_ledger(self) -> bool:
        """Whether there is a ledger."""
        return self._now is not None

    @property
    def may_have_changed(self) -> bool:
        """Whether the ledger may have changed at this look or at the one before."""
        return self._now != self._two_looks_ago


class Countdown:
    """So many seconds, by the clock that shows more of them.

    The machine may be suspended meanwhile, or its clock set.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._since = Stopwatch(clock)

    @property
    def left(self) -> float:
        """The seconds that are left; 0 when it is over."""
        return max(0.0, self._seconds - self._since.longest())

    @property
    def is_over(self) -> bool:
        """Whether the seconds have passed."""
        return self.left <= _EARLY
