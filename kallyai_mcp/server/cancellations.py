"""Cancels requests to `/mcp` of protocol versions up to 2025-11-25, where each message has a connection of its own.

There the SDK can't tell which request a `notifications/cancelled` means: ids are unique for one client only, and the
server keeps no sessions. So clients get a session id (`transports/session_ids.py`) that names them and nothing else.
"""

from typing import Any

import anyio
from mcp import MCPError
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, authorization_context
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from kallyai_mcp.server.sdk_internals import connection_of

REQUEST_CANCELLED = -32800
"""The SDK's code, from `mcp.server.streamable_http`, which only a server over HTTP loads."""

METHODS = frozenset({"tools/call", "tasks/get", "resources/read", "completion/complete", "notifications/cancelled"})
"""The requests that may take long, and what cancels them."""


class Cancellations:
    """Middleware that ends a request when its client cancels it in a message of its own.

    The request is answered with an error, as the SDK does in a session: a stream of these versions ends only with a
    response. It works in one process; with several, it needs a load balancer that sends a session to one of them.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[object, object], anyio.CancelScope] = {}

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Pass a message on."""
        if (session := _named_session(ctx)) is None:
            return await call_next(ctx)
        if ctx.method == "notifications/cancelled":
            if (scope := self._open.get((session, (ctx.params or {}).get("requestId")))) is not None:
                scope.cancel()
            return await call_next(ctx)
        key = session, ctx.request_id
        with anyio.CancelScope() as scope:
            self._open[key] = scope
            try:
                return await call_next(ctx)
            finally:
                if self._open.get(key) is scope:
                    del self._open[key]
        raise MCPError(REQUEST_CANCELLED, "Request cancelled")


def sender_of(ctx: ServerRequestContext[Any, Any]) -> object:
    """The same for all messages of one client: its session as the client names it, else its connection."""
    return _named_session(ctx) or id(connection_of(ctx))


def _named_session(ctx: ServerRequestContext[Any, Any]) -> tuple[object, ...] | None:
    """The session that a message to `/mcp` names, and whose it is; None if it names none."""
    if ctx.request is None or (name := ctx.request.headers.get("mcp-session-id")) is None:
        return None
    user = ctx.request.scope.get("user")
    principal = tuple(authorization_context(user).values()) if isinstance(user, AuthenticatedUser) else ()
    return name, *principal
