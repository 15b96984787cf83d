"""Growing pauses between tries, writes that are repeated until they succeed, and background work that may fail."""

import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.clock import Clock
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.timing import Timing

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


def pauses(first: float, longest: float) -> Iterator[float]:
    """The seconds to wait before each next try, without an end: `first`, then twice as long each time."""
    pause = first
    while True:
        yield min(pause, longest)
        pause *= 2


async def until_written(write: Callable[[], Awaitable[Result]], clock: Clock, timing: Timing) -> Result:
    """Repeat `write` until the ledger can be used, and return its result.

    For what must be written down because nobody could find it out again.
    """
    waits = pauses(timing.pause, timing.longest_pause)
    while True:
        try:
            return await write()
        except LedgerUnavailableError as error:
            _log.error("%s", error)
            await clock.sleep(next(waits))


async def run_logged(work: Callable[[], Awaitable[None]]) -> None:
    """Do `work`. An error is logged and not raised, so that it can't end the server."""
    try:
        await work()
    except KallyAIError as error:
        _log.info("in the background: %s", error.code)
    except Exception:  # noqa: BLE001 - the server must go on
        _log.exception("A background task failed")
