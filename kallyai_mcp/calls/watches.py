"""Measures the seconds since the moments of a call that is on its way."""

from collections.abc import Callable
from enum import StrEnum

from kallyai_mcp.clock import Clock, Stopwatch


class Moment(StrEnum):
    """A moment since which a run measures the seconds."""

    RESERVED = "before the reservation"
    FIRST_LEFT = "the first request left"
    LEFT_BEFORE = "the request before the newest one left"
    LEFT = "the newest request left"
    LOOKED = "the newest look began"


class Watches:
    """The seconds since each `Moment` that has been."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running: dict[Moment, Stopwatch] = {}

    def add(self, moment: Moment, watch: Stopwatch) -> None:
        """Measure with a watch that runs since a moment."""
        self._running[moment] = watch

    def begin(self, moment: Moment) -> None:
        """Measure from now on."""
        self._running[moment] = Stopwatch(self._clock)

    def begin_request(self) -> None:
        """Make what was the newest request the one before; the new one has not left."""
        self._running.pop(Moment.LEFT_BEFORE, None)
        if Moment.LEFT in self._running:
            self._running[Moment.LEFT_BEFORE] = self._running.pop(Moment.LEFT)

    def mark_left(self) -> None:
        """Measure from now on since the newest request left."""
        self.begin(Moment.LEFT)
        self._running.setdefault(Moment.FIRST_LEFT, self._running[Moment.LEFT])

    def longest_since(self, moment: Moment) -> float:
        """The most seconds that may have passed since a moment; 0 when it has not been."""
        watch = self._running.get(moment)
        return watch.longest() if watch is not None else 0.0

    @property
    def has_sent(self) -> bool:
        """Whether a request has left."""
        return Moment.FIRST_LEFT in self._running

    @property
    def since_first_left(self) -> Callable[[], float] | None:
        """Returns the seconds since the first request left (`Stopwatch.passed`); None when none
        has, or another process has sent it.
        """
        return self._running[Moment.FIRST_LEFT].passed if self.has_sent else None
