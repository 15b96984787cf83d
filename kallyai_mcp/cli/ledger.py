"""The ledger that the settings lead to."""

from datetime import timedelta
from typing import TYPE_CHECKING

from kallyai_mcp.settings import Settings

if TYPE_CHECKING:
    from kallyai_mcp.calls.ledger.base import Ledger


def open_ledger(settings: Settings) -> "Ledger":
    """The database that all workers share, or else this user's file; nothing is read or written yet.

    Raises:
        ValueError: The address of the database can't be used.
    """
    if settings.redis_url is not None:
        from kallyai_mcp.calls.ledger.redis_ledger import RedisLedger

        return RedisLedger(settings.redis_url, keep=timedelta(days=settings.keep_days + 1))
    from kallyai_mcp.calls.ledger.sqlite import SqliteLedger

    return SqliteLedger(settings.home / "ledger.db")
