"""The little that can't be sealed: that something was used or revoked. In Redis for all workers, else in this process.

Without Redis a restart forgets it, and with it what was revoked; with several workers Redis is a must.
"""

import heapq
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio

from kallyai_mcp.api.errors import KallyAIError

if TYPE_CHECKING:
    from redis.asyncio import Redis

_log = logging.getLogger(__name__)

_PREFIX = "kallyai-mcp:oauth:"
_TIMEOUT = 2.0
"""Seconds that Redis gets to answer."""

_MOST = 200_000
"""How many marks one process keeps; those that end first go first."""


class RevocationUnavailableError(KallyAIError):
    """Whether something was used or revoked can't be told now; so it is not honoured."""

    default_code = "marks_unavailable"

    def __init__(self) -> None:
        super().__init__("The sign-ins' Redis can't be reached.", retry_after=5)


class MemoryState:
    """Shared state in this process.

    Args:
        clock: Seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._values: dict[tuple[str, str], tuple[str, float]] = {}
        self._ends: list[tuple[float, tuple[str, str]]] = []

    async def put(self, kind: str, name: str, value: str, seconds: float) -> str | None:
        """As `SharedState.put`."""
        before = await self.get(kind, name)
        ends = self._clock() + seconds
        self._values[kind, name] = (value, ends)
        heapq.heappush(self._ends, (ends, (kind, name)))
        self._tidy()
        return before

    async def add(self, kind: str, name: str, value: str, seconds: float) -> bool:
        """As `SharedState.add`."""
        return await self.get(kind, name) is None and await self.put(kind, name, value, seconds) is None

    async def get(self, kind: str, name: str) -> str | None:
        """As `SharedState.get`."""
        value, ends = self._values.get((kind, name), (None, 0.0))
        return value if ends > self._clock() else None

    async def drop(self, kind: str, name: str) -> None:
        """As `SharedState.drop`."""
        self._values.pop((kind, name), None)

    async def aclose(self) -> None:
        """Nothing is held."""

    def _tidy(self) -> None:
        now = self._clock()
        while self._ends and (self._ends[0][0] <= now or len(self._ends) > _MOST):
            ends, key = heapq.heappop(self._ends)
            if self._values.get(key, ("", 0.0))[1] == ends:
                del self._values[key]


class RedisState:
    """Shared state in Redis.

    Args:
        url: Where the Redis is (6.2 or newer).
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._redis: Redis | None = None

    async def put(self, kind: str, name: str, value: str, seconds: float) -> str | None:
        """As `SharedState.put`."""
        key, milliseconds = f"{_PREFIX}{kind}:{name}", max(1, int(seconds * 1000))
        return _text(await self._ask(lambda redis: redis.set(key, value, px=milliseconds, get=True)))

    async def add(self, kind: str, name: str, value: str, seconds: float) -> bool:
        """As `SharedState.add`."""
        key, milliseconds = f"{_PREFIX}{kind}:{name}", max(1, int(seconds * 1000))
        return await self._ask(lambda redis: redis.set(key, value, px=milliseconds, nx=True)) is not None

    async def get(self, kind: str, name: str) -> str | None:
        """As `SharedState.get`."""
        return _text(await self._ask(lambda redis: redis.get(f"{_PREFIX}{kind}:{name}")))

    async def drop(self, kind: str, name: str) -> None:
        """As `SharedState.drop`."""
        await self._ask(lambda redis: redis.delete(f"{_PREFIX}{kind}:{name}"))

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._redis is not None:
            await self._redis.aclose()

    async def _ask(self, question: "Callable[[Redis], Awaitable[object]]") -> object:
        from redis.asyncio import Redis  # an extra, and slow to import
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError

        if self._redis is None:
            once_more = Retry(NoBackoff(), 1)  # a connection that lay idle may have been cut
            self._redis = Redis.from_url(
                self._url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT, retry=once_more
            )
        try:
            with anyio.CancelScope(shield=True):  # redis-py would not get to give its connection back
                answer = await question(self._redis)
        except (RedisError, OSError) as error:
            why = type(error).__name__  # its words may quote a password
        else:
            return answer
        _log.warning("the sign-ins' Redis can't be used: %s", why)
        raise RevocationUnavailableError


def _text(answer: object) -> str | None:
    return answer.decode() if isinstance(answer, bytes) else None
