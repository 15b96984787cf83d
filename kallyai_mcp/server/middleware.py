"""The one stack of middleware that every MCP message passes, over every transport."""

from typing import Any

from mcp.server.context import ServerMiddleware

from kallyai_mcp.logs import Correlation
from kallyai_mcp.server.sdk_internals import connection_of
from kallyai_mcp.tools.delivery_middleware import DeliveryMiddleware
from kallyai_mcp.tools.prompts import known_prompts
from kallyai_mcp.tools.resources import with_app_context
from kallyai_mcp.tools.subscriptions import Subscriptions
from kallyai_mcp.tools.tasks import check_task_listeners


def middleware(subscriptions: Subscriptions) -> list[ServerMiddleware[Any]]:
    """The stack, outermost first; the SDK's own middleware is outside of it.

    Args:
        subscriptions: Checks who listens to what, and tells the listeners.
    """
    return [
        Correlation(),  # first, so that whatever the others log carries the request's id
        DeliveryMiddleware(connection_of),
        check_task_listeners,
        subscriptions,
        with_app_context,
        known_prompts,
    ]
