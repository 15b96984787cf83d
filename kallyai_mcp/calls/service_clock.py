"""What time it is by KallyAI's clock, which may differ from ours."""

from datetime import datetime, timedelta

from kallyai_mcp.calls.clock import Clock, Stopwatch

_TOLERANCE = 5.0
"""Seconds by which our wall clock may have moved more or less than time passed."""


class ServiceClock:
    """The service's clock, by the `Date` header of its latest response.

    Args:
        clock: Ours.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: tuple[datetime, Stopwatch] | None = None

    def set(self, service_time: datetime) -> None:
        """Note that it is `service_time` by the service's clock."""
        self._known = service_time, Stopwatch(self._clock)

    def now(self) -> datetime | None:
        """The time by the service's clock.

        None when there was no response yet, or when our wall clock was set or the machine suspended since: then it is
        not known how much time passed.
        """
        if self._known is None:
            return None
        service_time, since = self._known
        if abs(since.drift()) > _TOLERANCE:
            return None
        return service_time + timedelta(seconds=since.running())
