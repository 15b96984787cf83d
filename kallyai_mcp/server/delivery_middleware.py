"""The middleware that notes for `Delivery` which request reports which call, and which request was canceled."""

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from kallyai_mcp.server.cancellations import sender_of
from kallyai_mcp.tools.context import AppContext

METHODS = frozenset({"tools/call", "tasks/get", "notifications/cancelled"})
"""The methods whose results can report the outcome of a call, and that of the notification that cancels them."""


async def note_deliveries(ctx: ServerRequestContext[AppContext, object], call_next: CallNext) -> HandlerResult:
    """Handle each request in a context of `Delivery.request`, and report cancellations to `Delivery`.

    A client may cancel a request while its result is being sent, when the SDK can't cancel it any more. The outcome in
    that result does not count as delivered, so the next request for the same call gets it.
    """
    delivery, sender = ctx.lifespan_context.calls.delivery, sender_of(ctx)
    if ctx.method == "notifications/cancelled":
        await delivery.canceled(sender, (ctx.params or {}).get("requestId"))
        return await call_next(ctx)
    async with delivery.request(sender, ctx.request_id):
        return await call_next(ctx)
