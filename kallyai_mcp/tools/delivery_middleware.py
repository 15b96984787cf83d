"""The middleware that tells `delivery` which answer belongs to which request."""

from collections.abc import Callable
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from kallyai_mcp.tools.context import AppContext


class DeliveryMiddleware:
    """Lets `Delivery` collect the records that an answer tells of, and take them back when the client gave up.

    A client that gives up a request just as its answer leaves says so afterwards; the SDK can do nothing any more for
    such a request. The same call asked for next must be told the outcome, and must not be placed again.

    Args:
        connection_of: Gives the connection that a message came on.
    """

    def __init__(self, connection_of: Callable[[ServerRequestContext[Any, Any]], object]) -> None:
        self._connection_of = connection_of

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Let a message through."""
        app_context: AppContext = ctx.lifespan_context
        delivery, connection = app_context.calls.delivery, id(self._connection_of(ctx))
        if ctx.method == "tools/call":
            with delivery.request(connection, ctx.request_id):
                return await call_next(ctx)
        if ctx.method == "notifications/cancelled":
            await delivery.canceled(connection, (ctx.params or {}).get("requestId"))
        return await call_next(ctx)
