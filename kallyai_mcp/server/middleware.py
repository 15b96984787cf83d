"""The stack of middleware for all MCP messages, over every transport."""

from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import Any, cast

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.types import SERVER_INFO_META_KEY

from kallyai_mcp.logs import Correlation
from kallyai_mcp.server.cancellations import METHODS as CANCELLATIONS
from kallyai_mcp.server.cancellations import Cancellations
from kallyai_mcp.server.delivery_middleware import METHODS as DELIVERY
from kallyai_mcp.server.delivery_middleware import note_deliveries
from kallyai_mcp.tools.elicitation import form_title
from kallyai_mcp.tools.known_tools import known_tools
from kallyai_mcp.tools.prompts import known_prompts
from kallyai_mcp.tools.resources import with_app_context
from kallyai_mcp.tools.tasks import check_task_listeners
from kallyai_mcp.visual_identity import as_data_uri

_ICON = Path(__file__).parents[1] / "bundle" / "icon-48.png"

_Middleware = Callable[[ServerRequestContext[Any, Any], CallNext], Awaitable[HandlerResult]]
"""The SDK's type asks for coroutine functions, but it only awaits the result; a plain function holds no frame."""


def middleware(*, read_only: bool) -> list[ServerMiddleware[Any]]:
    """The stack as one middleware, inside of the SDK's own.

    With `read_only`, the tools that place or cancel calls are left out.
    """
    stack: list[tuple[_Middleware, AbstractSet[str] | None]] = [
        (Correlation(), None),  # first, so that the log lines of the others have the request's id
        (add_icon, {"initialize", "server/discover"}),
        (declare_no_updates, {"server/discover"}),
        (form_titles, {"tools/call"}),
        (Cancellations(), CANCELLATIONS),
        (note_deliveries, DELIVERY),
        (check_task_listeners, {"subscriptions/listen"}),
        (with_app_context, {"resources/read"}),
        (known_tools(read_only=read_only), {"tools/call"}),
        (known_prompts(read_only=read_only), {"prompts/get"}),
    ]
    return [_by_method(stack)]


def _by_method(stack: Sequence[tuple[_Middleware, AbstractSet[str] | None]]) -> ServerMiddleware[Any]:
    """One middleware for a stack: a message passes only those in the stack that act on its method.

    Args:
        stack: The middleware, the outermost first, each with the methods that it acts on (None for all).
    """

    def acting_on(method: str) -> list[_Middleware]:
        return [one for one, methods in reversed(stack) if methods is None or method in methods]

    chosen = {method: acting_on(method) for _, methods in stack for method in methods or ()}
    others = acting_on("")

    def pass_on(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> Awaitable[HandlerResult]:
        for one in chosen.get(ctx.method, others):
            call_next = partial(_through, one, call_next)
        return call_next(ctx)

    return cast("ServerMiddleware[Any]", pass_on)


def _through(one: _Middleware, call_next: CallNext, ctx: ServerRequestContext[Any, Any]) -> Awaitable[HandlerResult]:
    return one(ctx, call_next)


async def declare_no_updates(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Declare that there are no updates of a resource, which the SDK promises wherever clients can listen."""
    result = await call_next(ctx)
    if isinstance(result, dict):
        result["capabilities"]["resources"]["subscribe"] = False
    return result


async def form_titles(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Add the title to each form in a result, which the SDK leaves out in the protocol version 2026-07-28."""
    result = await call_next(ctx)
    if not isinstance(result, dict) or "inputRequests" not in result:
        return result
    return {**result, "inputRequests": {name: _titled(asked) for name, asked in result["inputRequests"].items()}}


def _titled(request: dict[str, Any]) -> dict[str, Any]:
    params = request["params"]
    if "requestedSchema" not in params:
        return request
    schema = {**params["requestedSchema"], "title": form_title(params["message"])}
    return {**request, "params": {**params, "requestedSchema": schema}}


async def add_icon(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Add the server's icon, in a data URI, to the results of `initialize` and `server/discover`.

    If the SDK knew the icon, it would put it into every result, where it would be most of the bytes.
    """
    result = await call_next(ctx)
    if not isinstance(result, dict):
        return result
    icons = [{"src": as_data_uri(_ICON.read_bytes(), "image/png"), "mimeType": "image/png", "sizes": ["48x48"]}]
    if ctx.method == "initialize":
        return {**result, "serverInfo": {**result["serverInfo"], "icons": icons}}
    meta = result["_meta"]
    return {**result, "_meta": {**meta, SERVER_INFO_META_KEY: {**meta[SERVER_INFO_META_KEY], "icons": icons}}}
