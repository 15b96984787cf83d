"""What time it is by KallyAI's clock, which may differ from ours."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from kallyai_mcp.calls.clock import Clock, Stopwatch

_TOLERANCE = 5.0
"""How many seconds more or less than time passed our wall clock may have moved; a `Date` is exact to as many."""

_OLDEST = 120.0
"""How many seconds old a `Date` may be when it is read. The machine may have been suspended since it was written."""


class ServiceClock:
    """The service's clock, by the `Date` headers of its responses and the time that passes on ours."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: _ReadDate | None = None

    def set(self, service_time: datetime, age: float) -> None:
        """Note a `Date`; one that may be older than the last one was does not count, nor one that says an earlier time.

        A cache may keep a response for long, and not say so.

        Args:
            service_time: The `Date`.
            age: How many seconds ago it may have been written: as many as passed since its request.
        """
        known = self.now()
        least = self._known.age if self._known is not None and known is not None else _OLDEST
        is_earlier = known is not None and (known - service_time).total_seconds() > age + _TOLERANCE
        if age <= max(least, _TOLERANCE) and not is_earlier:
            self._known = _ReadDate(service_time, age, Stopwatch(self._clock))

    def now(self) -> datetime | None:
        """The time by the service's clock.

        None when there was no response yet, or when our wall clock was set or a virtual machine paused since: then it
        is not known how much time passed.
        """
        if self._known is None:
            return None
        if abs(self._known.since.drift()) > _TOLERANCE:
            return None
        return self._known.service_time + timedelta(seconds=self._known.since.passed())


@dataclass(frozen=True)
class _ReadDate:
    """A `Date` that was read.

    Attributes:
        service_time: The `Date`.
        age: How many seconds old it may have been.
        since: Runs since it was read.
    """

    service_time: datetime
    age: float
    since: Stopwatch
