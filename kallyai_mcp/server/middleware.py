"""The one stack of middleware that every MCP message passes, over every transport."""

from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp_types import SERVER_INFO_META_KEY

from kallyai_mcp.logs import Correlation
from kallyai_mcp.server.extensions.events import declare_events
from kallyai_mcp.server.sdk_internals import connection_of
from kallyai_mcp.tools.delivery_middleware import DeliveryMiddleware
from kallyai_mcp.tools.prompts import known_prompts, no_prompts
from kallyai_mcp.tools.resources import with_app_context
from kallyai_mcp.tools.subscriptions import Subscriptions
from kallyai_mcp.tools.tasks import check_task_listeners


def middleware(subscriptions: Subscriptions, *, read_only: bool) -> list[ServerMiddleware[Any]]:
    """The stack, outermost first; the SDK's own middleware is outside of it.

    Args:
        subscriptions: Checks who listens to what, and tells the listeners.
        read_only: The server has no prompts.
    """
    return [
        Correlation(),  # first, so that whatever the others log carries the request's id
        icons_once,
        declare_events,
        DeliveryMiddleware(connection_of),
        check_task_listeners,
        subscriptions,
        with_app_context,
        no_prompts if read_only else known_prompts,
    ]


async def icons_once(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Leave the server's icons out of every result but that of server/discover.

    The SDK puts all that it knows of the server into each result, where the icons would be most of its bytes.
    """
    result = await call_next(ctx)
    if ctx.method != "server/discover" and isinstance(result, dict) and isinstance(meta := result.get("_meta"), dict):
        server_info = meta.get(SERVER_INFO_META_KEY)
        if isinstance(server_info, dict) and "icons" in server_info:
            without = {name: value for name, value in server_info.items() if name != "icons"}
            return {**result, "_meta": {**meta, SERVER_INFO_META_KEY: without}}
    return result
