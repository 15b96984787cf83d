"""Where a ledger may be, in one word that also another process can be given."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kallyai_mcp.calls.ledger.base import Ledger
from kallyai_mcp.calls.ledger.redis_ledger import RedisLedger
from kallyai_mcp.calls.ledger.sqlite import SqliteLedger


def ledger_at(place: str) -> Ledger:
    """The ledger in a file, or at a URL of Redis with its prefix after a `#`."""
    url, _, prefix = place.partition("#")
    return RedisLedger(url, prefix=prefix) if prefix else SqliteLedger(Path(place))


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[RedisLedger]:
    """A ledger in Redis, closed at the end of the block."""
    ledger = RedisLedger(url, **options)
    try:
        yield ledger
    finally:
        await ledger.aclose()
