"""Ends the scheduled calls that were not placed in their time."""

from kallyai_mcp.calls.context import CallContext, logged
from kallyai_mcp.calls.events import Late
from kallyai_mcp.calls.ledger import expiry


async def end_late_calls(context: CallContext) -> None:
    """End the late calls of all accounts, each under the lock of its account.

    An account whose lock can't be had keeps no other one waiting.
    """
    for account, late in await context.ledger.read(expiry.late_calls):
        with logged("ending late calls"):
            await context.ledger.handle(account, Late(late))
            await context.ledger.write(account, expiry.end_unreadable, account, late)
        await context.clock.sleep(context.timing.purge_pause)
