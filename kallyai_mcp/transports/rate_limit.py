"""How often one caller may come, counted by the `limits` library in memory or in Redis."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio
from limits import parse
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

_log = logging.getLogger(__name__)

_PATIENCE = 1.0
"""Seconds that Redis gets: whoever waits at the door waits with it."""

_REST = 5.0
"""Seconds for which a Redis that did not answer is not asked again, so that not every request waits for it."""


class RateLimiter:
    """A moving window for each caller. Close it with `aclose`.

    Whoever can't be counted may come in: without Redis no call is placed anyhow, and reading still works.

    Args:
        rate: Such as `300/minute`.
        redis_url: The Redis that all workers share; None to count in this process.
        name: What is counted: windows of different names share nothing.
    """

    def __init__(self, rate: str, redis_url: str | None = None, *, name: str = "requests") -> None:
        self._rate = parse(rate)
        self._name = name
        self._pool: ConnectionPool | None = None
        self._rest_until = 0.0
        storage: Storage = MemoryStorage()
        if redis_url is not None:
            from redis import asyncio as redis  # an extra
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff

            self._pool = redis.ConnectionPool.from_url(
                redis_url,
                socket_timeout=_PATIENCE,
                socket_connect_timeout=_PATIENCE,
                retry=Retry(NoBackoff(), 0),
            )
            # The pool knows the address, of whatever kind; the library needs one of a kind that it knows.
            storage = RedisStorage(
                "redis://",
                wrap_exceptions=True,
                implementation="redispy",
                key_prefix="kallyai-mcp:rate",
                connection_pool=self._pool,  # type: ignore[arg-type]  # documented; its options are typed as plain values
            )
        self._limiter = MovingWindowRateLimiter(storage)

    async def wait(self, caller: str) -> float:
        """0 when `caller` may come in now (which counts), else the seconds until they may."""
        return await self._asked(self._limiter.hit, caller)

    async def look(self, caller: str) -> float:
        """The same, except that nothing is counted."""
        return await self._asked(self._limiter.test, caller)

    async def aclose(self) -> None:
        """Let go of Redis."""
        if self._pool is not None:
            await self._pool.aclose()

    async def _asked(self, may_come: Callable[..., Awaitable[bool]], caller: str) -> float:
        if anyio.current_time() < self._rest_until:
            return 0
        try:
            if await may_come(self._rate, self._name, caller):
                return 0
            window = await self._limiter.get_window_stats(self._rate, self._name, caller)
        except StorageError as error:
            _log.warning("the rate can't be counted: %s", type(error).__name__)
            self._rest_until = anyio.current_time() + _REST
            return 0
        return max(1.0, window.reset_time - time.time())
