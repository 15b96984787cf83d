"""Answers that nobody heard: a client that gives up on a request just as its answer leaves says so, and is believed."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from kallyai_mcp.tools.context import AppContext

_MOST = 1000
"""How many answers are remembered; the notification follows the answer it crossed with within moments."""


class LateCancellationMiddleware:
    """Middleware: an outcome whose request is cancelled after it was answered counts as not handed out.

    The SDK can do nothing any more for such a request. But the same call asked for next must be told its outcome, not
    placed again, as would a call that nobody answered and whose outcome was heard.

    Args:
        connection_of: Gives the connection that a message came on.
    """

    def __init__(self, connection_of: Callable[[ServerRequestContext[Any, Any]], object]) -> None:
        self._connection_of = connection_of
        self._told: OrderedDict[tuple[int, object], str] = OrderedDict()

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Let a message through; remember what calls it told of, or take back what was told."""
        result = await call_next(ctx)
        connection = id(self._connection_of(ctx))
        if ctx.method == "tools/call" and isinstance(result, dict):
            tracking_id = (result.get("structuredContent") or {}).get("tracking_id")
            if tracking_id is not None:
                self._told[connection, ctx.request_id] = tracking_id
                if len(self._told) > _MOST:
                    self._told.popitem(last=False)
        elif ctx.method == "notifications/cancelled":
            request_id = (ctx.params or {}).get("requestId")
            if (unheard := self._told.pop((connection, request_id), None)) is not None:
                app_context: AppContext = ctx.lifespan_context
                await app_context.calls.take_back(unheard)
        return result
