"""The middleware that tells `Delivery` which request reports which call, and which request was canceled."""

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from kallyai_mcp.server.cancellations import sender_of
from kallyai_mcp.tools.context import AppContext

METHODS = frozenset({"tools/call", "tasks/get", "notifications/cancelled"})
"""The methods whose results can report the outcome of a call, and what cancels them."""


async def note_deliveries(ctx: ServerRequestContext[AppContext, object], call_next: CallNext) -> HandlerResult:
    """Surround each request that can report a call by `Delivery.request`, and pass cancellations on.

    A client may cancel a request just as its result is sent. The SDK can't do anything about such a request any more,
    but the outcome in that result does not count as delivered, so that the next request for the same call gets it.
    """
    delivery, sender = ctx.lifespan_context.calls.delivery, sender_of(ctx)
    if ctx.method == "notifications/cancelled":
        await delivery.canceled(sender, (ctx.params or {}).get("requestId"))
        return await call_next(ctx)
    async with delivery.request(sender, ctx.request_id):
        return await call_next(ctx)
