"""The little that can't be sealed: that something was used or revoked. In Redis for all workers, else in this process.

Without Redis a restart forgets it, and with it what was revoked; with several workers Redis is a must.
"""

import heapq
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

import anyio

from kallyai_mcp.api.errors import KallyAIError

if TYPE_CHECKING:
    from redis.asyncio import Redis

_log = logging.getLogger(__name__)

_PREFIX = "kallyai-mcp:oauth:"
_PATIENCE = 2.0
"""Seconds that Redis gets to answer."""

_MOST = 200_000
"""How many marks one process keeps; those that end first go first."""


class RevocationUnavailableError(KallyAIError):
    """Whether something was used or revoked can't be told now; so it is not honoured."""

    default_code = "marks_unavailable"

    def __init__(self) -> None:
        super().__init__("The sign-ins' Redis can't be reached.", retry_after=5)


class RevocationStore(Protocol):
    """Numbers by name, each for a time. Every method raises `RevocationUnavailableError`."""

    async def put(self, name: str, number: int, seconds: float) -> int | None:
        """Sets a mark, in one step with reading the one before: the number that was there, or None."""
        ...

    async def get(self, name: str) -> int | None:
        """The number, or None."""
        ...

    async def drop(self, name: str) -> None:
        """Forgets a mark."""
        ...

    async def aclose(self) -> None:
        """Lets go of what is held."""
        ...


class MemoryRevocation:
    """Marks in this process.

    Args:
        clock: Seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._marks: dict[str, tuple[int, float]] = {}
        self._ends: list[tuple[float, str]] = []

    async def put(self, name: str, number: int, seconds: float) -> int | None:
        """As `RevocationStore.put`."""
        before = await self.get(name)
        ends = self._clock() + seconds
        self._marks[name] = (number, ends)
        heapq.heappush(self._ends, (ends, name))
        self._tidy()
        return before

    async def get(self, name: str) -> int | None:
        """As `RevocationStore.get`."""
        number, ends = self._marks.get(name, (None, 0.0))
        return number if ends > self._clock() else None

    async def drop(self, name: str) -> None:
        """As `RevocationStore.drop`."""
        self._marks.pop(name, None)

    async def aclose(self) -> None:
        """Nothing is held."""

    def _tidy(self) -> None:
        now = self._clock()
        while self._ends and (self._ends[0][0] <= now or len(self._ends) > _MOST):
            ends, name = heapq.heappop(self._ends)
            if self._marks.get(name, (0, 0.0))[1] == ends:
                del self._marks[name]


class RedisRevocation:
    """Marks that all workers share.

    Args:
        url: Where the Redis is (6.2 or newer).
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._redis: Redis | None = None

    async def put(self, name: str, number: int, seconds: float) -> int | None:
        """As `RevocationStore.put`."""
        milliseconds = max(1, int(seconds * 1000))
        return _number(await self._ask(lambda redis: redis.set(_PREFIX + name, number, px=milliseconds, get=True)))

    async def get(self, name: str) -> int | None:
        """As `RevocationStore.get`."""
        return _number(await self._ask(lambda redis: redis.get(_PREFIX + name)))

    async def drop(self, name: str) -> None:
        """As `RevocationStore.drop`."""
        await self._ask(lambda redis: redis.delete(_PREFIX + name))

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
                self._url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE, retry=once_more
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


def _number(answer: object) -> int | None:
    return int(answer) if isinstance(answer, (bytes, str)) else None
