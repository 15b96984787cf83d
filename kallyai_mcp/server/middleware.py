"""The stack of middleware for all MCP messages, over every transport."""

from functools import cache
from pathlib import Path
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.types import SERVER_INFO_META_KEY

from kallyai_mcp.cards.style import as_data_uri
from kallyai_mcp.logs.request_ids import Correlation
from kallyai_mcp.server.cancellations import Cancellations
from kallyai_mcp.tools.prompts import wrong_prompts

_ICON = Path(__file__).parents[1] / "bundle" / "icon-48.png"


def middleware() -> list[ServerMiddleware[Any]]:
    """The stack, the outermost first, inside of the SDK's own."""
    cancellations = Cancellations()
    by_method: dict[str, ServerMiddleware[Any]] = {
        "initialize": describe_server,
        "server/discover": describe_server,
        "tools/call": cancellations,
        "tasks/get": cancellations,
        "prompts/get": wrong_prompts,
        "notifications/cancelled": cancellations,
    }

    async def handle(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        own = by_method.get(ctx.method)
        return await (call_next(ctx) if own is None else own(ctx, call_next))

    # In this order, so that the log lines of the others have the request's id.
    return [Correlation(), handle]


async def describe_server(
    ctx: ServerRequestContext[Any, Any], call_next: CallNext
) -> HandlerResult:
    """Add the server's icon, in a data URI, and declare that there are no updates of a resource.

    If the SDK knew the icon, it would put it into every result, where it would be most of the
    bytes. And it promises updates wherever clients can listen.
    """
    result = await call_next(ctx)
    if not isinstance(result, dict):
        return result
    icons = [{"src": _icon(), "mimeType": "image/png", "sizes": ["48x48"]}]
    if ctx.method == "initialize":
        return {**result, "serverInfo": {**result["serverInfo"], "icons": icons}}
    result["capabilities"]["resources"]["subscribe"] = False
    meta = result["_meta"]
    return {
        **result,
        "_meta": {**meta, SERVER_INFO_META_KEY: {**meta[SERVER_INFO_META_KEY], "icons": icons}},
    }


@cache
def _icon() -> str:
    return as_data_uri(_ICON.read_bytes(), "image/png")
