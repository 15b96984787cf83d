"""How the call worker tries again: growing pauses, writes that must succeed, background work that may fail."""

import logging
import math
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.clock import Clock
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.timing import Timing

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Retries:
    """Pauses and repeated writes by one clock."""

    def __init__(self, clock: Clock, timing: Timing) -> None:
        self._clock = clock
        self._timing = timing

    def pauses(self, first: float, longest: float = math.inf) -> Iterator[float]:
        """Seconds to wait before each next try: `first`, then twice as long each time, never longer than `longest`."""
        pause = first
        while True:
            yield min(pause, longest, self._timing.longest_pause)
            pause *= 2

    async def until_written(self, write: Callable[[], Awaitable[Result]]) -> Result:
        """Write into the ledger, however long that takes: what is known now can't be found out again for sure."""
        pauses = self.pauses(self._timing.pause)
        while True:
            try:
                return await write()
            except LedgerUnavailableError as error:
                _log.error("%s", error)
                await self._clock.sleep(next(pauses))


async def run_logged(work: Callable[[], Awaitable[None]]) -> None:
    """Do `work`; a failure is logged, and never ends the server."""
    try:
        await work()
    except KallyAIError as error:
        _log.info("in the background: %s", error.code)
    except Exception:  # noqa: BLE001 - the next round may succeed, and the server must go on
        _log.exception("A background task failed")
