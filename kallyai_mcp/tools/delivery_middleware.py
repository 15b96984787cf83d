"""The middleware that tells `Delivery` which request reports which call, and which request was canceled."""

from collections.abc import Callable
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from kallyai_mcp.tools.context import AppContext

_REPORTING = frozenset({"tools/call", "tasks/get"})
"""The methods whose results can report the outcome of a call."""

METHODS = _REPORTING | {"notifications/cancelled"}
"""The methods that `DeliveryMiddleware` acts on."""


class DeliveryMiddleware:
    """Surrounds each request that can report a call by `Delivery.request`, and passes cancellations on.

    A client may cancel a request just as its result is sent. The SDK can't do anything about such a request any more,
    but the outcome in that result does not count as delivered, so that the next request for the same call gets it.

    Args:
        sender_of: Returns something that is the same for all messages of one client.
    """

    def __init__(self, sender_of: Callable[[ServerRequestContext[Any, Any]], object]) -> None:
        self._sender_of = sender_of

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Pass a message on."""
        app_context: AppContext = ctx.lifespan_context
        delivery, sender = app_context.calls.delivery, self._sender_of(ctx)
        if ctx.method in _REPORTING:
            async with delivery.request(sender, ctx.request_id):
                return await call_next(ctx)
        if ctx.method == "notifications/cancelled":
            await delivery.canceled(sender, (ctx.params or {}).get("requestId"))
        return await call_next(ctx)
