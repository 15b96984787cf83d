"""Growing pauses between tries, writes that are repeated until they succeed, and background work that may fail."""

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
    """Pauses and repeated writes.

    Args:
        clock: The clock of the pauses.
        timing: Their lengths.
    """

    def __init__(self, clock: Clock, timing: Timing) -> None:
        self._clock = clock
        self._timing = timing

    def pauses(self, first: float, longest: float = math.inf) -> Iterator[float]:
        """The seconds to wait before each next try, without an end: `first`, then twice as long each time.

        None is longer than `longest` or `Timing.longest_pause`.
        """
        pause = first
        while True:
            yield min(pause, longest, self._timing.longest_pause)
            pause *= 2

    async def until_written(self, write: Callable[[], Awaitable[Result]]) -> Result:
        """Repeat `write` until the ledger can be used, and return its result.

        For what must be written down because nobody could find it out again.
        """
        pauses = self.pauses(self._timing.pause)
        while True:
            try:
                return await write()
            except LedgerUnavailableError as error:
                _log.error("%s", error)
                await self._clock.sleep(next(pauses))


async def run_logged(work: Callable[[], Awaitable[None]]) -> None:
    """Do `work`. An error is logged and not raised, so that it can't end the server."""
    try:
        await work()
    except KallyAIError as error:
        _log.info("in the background: %s", error.code)
    except Exception:  # noqa: BLE001 - the server must go on
        _log.exception("A background task failed")
