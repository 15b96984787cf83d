"""How often each caller may do something, counted in this process.

Behind a load balancer each process counts for itself. The `limits` library hands every count to a thread and takes a
quarter of a second to import; a moving window in one process needs neither.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


class RateLimiter:
    """A moving window for each caller. It forgets a caller who has not been counted for the length of the window.

    Args:
        rate: Uses in a time, such as `300/minute`; the unit is `second`, `minute`, `hour`, or `day`.
        clock: Seconds from any fixed moment.
    """

    def __init__(self, rate: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        most, _, unit = rate.partition("/")
        self._most = int(most)
        self._window = _SECONDS[unit]
        self._clock = clock
        # The times of each caller's newest uses, at most as many as are allowed; the callers in order of their newest.
        self._uses: OrderedDict[str, deque[float]] = OrderedDict()

    def acquire(self, caller: str) -> float:
        """Count one use by `caller` if it is allowed; returns 0 if it was, else the seconds until it will be."""
        wait = self.peek(caller)
        if wait == 0:
            self._uses.setdefault(caller, deque(maxlen=self._most)).append(self._clock())
            self._uses.move_to_end(caller)
        return wait

    def peek(self, caller: str) -> float:
        """Return what `acquire` would, but count nothing."""
        now = self._clock()
        self._forget_before(now - self._window)
        uses = self._uses.get(caller)
        if uses is None or len(uses) < self._most:
            return 0.0
        return max(0.0, uses[0] + self._window - now)

    def _forget_before(self, begin: float) -> None:
        while self._uses and next(iter(self._uses.values()))[-1] <= begin:
            self._uses.popitem(last=False)
