"""The account's quota as far as it can be read in a moment, for texts that are about something else."""

import anyio

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Statistics, Subscription
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.text.account import little_left

USAGE_SECONDS = 3.0
"""How long to wait for the quota: it must not delay what the text is about."""


async def usage_of(
    app_context: AppContext, account: str | None = None
) -> tuple[Statistics, Subscription | None] | None:
    """The account's statistics and subscription; None when KallyAI doesn't return them in time.

    Args:
        app_context: What the tool works with.
        account: The account's identifier; None for the one that is signed in.
    """
    try:
        with anyio.move_on_after(USAGE_SECONDS):
            account = account or await app_context.sign_in.account()
            return await app_context.usage.get(app_context.api(), account, app_context.now())
    except KallyAIError:
        return None
    return None


async def few_left(app_context: AppContext, spanish: bool, phone: str | None) -> str | None:
    """What is left of the quota, if it is little: "2 of 35 calls (93 minutes)", for the result of a call to `phone`."""
    usage = await usage_of(app_context)
    return little_left(usage[0], spanish=spanish, phone=phone) if usage is not None else None
