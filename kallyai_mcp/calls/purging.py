"""Deletes old records in the background."""

from kallyai_mcp.calls.context import CallContext, logged
from kallyai_mcp.calls.ledger import upkeep

_DAY = 86_400.0


async def purge_old_records(context: CallContext, first_pause: float) -> None:
    """Delete old records once in `Timing.purge`, if there is a ledger: first after so many
    seconds.
    """
    pause = first_pause
    while True:
        await context.clock.sleep(pause)
        pause = context.timing.purge
        with logged("deleting old records"):
            while await _purge_some(context):
                await context.clock.sleep(context.timing.purge_pause)


async def _purge_some(context: CallContext) -> bool:
    """Delete some old records; returns whether there may be more."""
    ledger = context.ledger
    if ledger.database.version() is None:  # a write would create the file
        return False
    days = max(context.timing.keep_days, 1)  # limits and duplicates look back a day
    return await ledger.write(None, upkeep.purge, days * _DAY)
