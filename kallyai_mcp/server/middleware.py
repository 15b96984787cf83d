"""The stack of middleware for all MCP messages, over every transport."""

from functools import cache, partial
from pathlib import Path
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.types import SERVER_INFO_META_KEY

from kallyai_mcp.cards.style import as_data_uri
from kallyai_mcp.logs import Correlation
from kallyai_mcp.server.cancellations import Cancellations, sender_of
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.prompts import wrong_prompts
from kallyai_mcp.tools.resources import with_app_context

_ICON = Path(__file__).parents[1] / "bundle" / "icon-48.png"


def middleware() -> list[ServerMiddleware[Any]]:
    """The stack, the outermost first, inside of the SDK's own."""
    cancellations = Cancellations()
    by_method: dict[str, list[ServerMiddleware[Any]]] = {
        "initialize": [describe_server],
        "server/discover": [describe_server],
        "tools/call": [cancellations, note_deliveries],
        "tasks/get": [cancellations, note_deliveries],
        "resources/read": [cancellations, with_app_context],
        "prompts/get": [wrong_prompts],
        "notifications/cancelled": [cancellations, note_deliveries],
    }

    async def handle(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        for one in reversed(by_method.get(ctx.method, [])):
            call_next = partial(one, call_next=call_next)
        return await call_next(ctx)

    return [Correlation(), handle]  # in this order, so that the log lines of the others have the request's id


async def describe_server(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Add the server's icon, in a data URI, and declare that there are no updates of a resource.

    If the SDK knew the icon, it would put it into every result, where it would be most of the bytes. And it promises
    updates wherever clients can listen.
    """
    result = await call_next(ctx)
    if not isinstance(result, dict):
        return result
    icons = [{"src": _icon(), "mimeType": "image/png", "sizes": ["48x48"]}]
    if ctx.method == "initialize":
        return {**result, "serverInfo": {**result["serverInfo"], "icons": icons}}
    result["capabilities"]["resources"]["subscribe"] = False
    meta = result["_meta"]
    return {**result, "_meta": {**meta, SERVER_INFO_META_KEY: {**meta[SERVER_INFO_META_KEY], "icons": icons}}}


@cache
def _icon() -> str:
    return as_data_uri(_ICON.read_bytes(), "image/png")


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
