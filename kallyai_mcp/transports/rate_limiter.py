"""How often a caller may do something."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


class RateLimiter:
    """A moving window for each caller, which is deleted when it is empty.

    `rate` is the most uses in a time, such as `300/minute`; the unit is `second`, `minute`, `hour`,
    or `day`. `clock` is monotonic, in seconds.
    """

    def __init__(self, rate: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        most, _, unit = rate.partition("/")
        self._most = int(most)
        self._window = _SECONDS[unit]
        self._clock = clock
        self._uses: OrderedDict[str, deque[float]] = OrderedDict()
        """The times of each caller's newest uses, at most as many as are allowed.

        The newest caller is the last.
        """

    def acquire(self, caller: str) -> float:
        """Count one use by `caller` if it is allowed; returns 0, or the seconds until one is
        allowed.
        """
        wait = self.peek(caller)
        if wait == 0:
            self._uses.setdefault(caller, deque(maxlen=self._most)).append(self._clock())
            self._uses.move_to_end(caller)
        return wait

    def peek(self, caller: str) -> float:
        """What `acquire` would return; nothing is counted."""
        now = self._clock()
        while self._uses and next(iter(self._uses.values()))[-1] <= now - self._window:
            self._uses.popitem(last=False)
        uses = self._uses.get(caller)
        if uses is None or len(uses) < self._most:
            return 0.0
        return max(0.0, uses[0] + self._window - now)
