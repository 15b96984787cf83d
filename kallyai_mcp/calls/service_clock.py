"""What time it is by KallyAI's clock, which may differ from ours."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from kallyai_mcp.calls.clock import Clock, Stopwatch

_TOLERANCE = 5.0
"""Times that differ by less than this many seconds count as equal, because a `Date` is not more exact."""

_OLDEST = 120.0
"""The most seconds from a request to its response for the `Date` to count: the machine may have been suspended."""


class ServiceClock:
    """The service's clock: the `Date` header of a response, plus the time since then on this machine."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: _ReadDate | None = None

    def set(self, service_time: datetime, age: float) -> None:
        """Set the clock by the `Date` of a response.

        A `Date` does not count if it may be older than the one before, or if it is earlier than the clock's time: a
        cache may have kept the response for a long time without an `Age` header.

        Args:
            service_time: The `Date` (aware).
            age: The seconds since the request was sent: the most that the `Date` can be old.
        """
        known = self.now()
        least = self._known.age if self._known is not None and known is not None else _OLDEST
        is_earlier = known is not None and (known - service_time).total_seconds() > age + _TOLERANCE
        if age <= max(least, _TOLERANCE) and not is_earlier:
            self._known = _ReadDate(service_time, age, Stopwatch(self._clock))

    def now(self) -> datetime | None:
        """The time by the service's clock (aware).

        None when there was no response yet. Also None when our wall clock was set since, or a virtual machine was
        paused: then nobody knows how much time has passed.
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
        service_time: The `Date` (aware).
        age: The most seconds that it was old when it was read.
        since: Runs since it was read.
    """

    service_time: datetime
    age: float
    since: Stopwatch
