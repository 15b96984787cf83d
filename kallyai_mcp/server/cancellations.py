"""Ends requests that their clients cancel, and reports to `Delivery` what requests have told.

Over `/mcp`, each message of the protocol versions up to 2025-11-25 has its own connection, and the
server keeps no sessions. The id in a `notifications/cancelled` is unique only for one client, so
the SDK can't find the request. Therefore clients get a session id that only identifies the client
(`_with_session_id` in `transports/asgi_app.py`).
"""

from typing import Any

import anyio
from mcp import MCPError
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, authorization_context
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from kallyai_mcp.server.sdk_internals import connection_of
from kallyai_mcp.tools.context import AppContext

REQUEST_CANCELLED = -32800
"""The SDK's error code.

Its module `mcp.server.streamable_http` is imported only by a server over HTTP.
"""


class Cancellations:
    """Middleware that handles each request in a context of `Delivery.request`, and ends it when its
    client cancels it.

    The request is answered with an error, as the SDK does in a session, because a stream of the
    versions up to 2025-11-25 ends only with a response. If the notification reaches another worker,
    the request goes on to its result.

    A client may cancel a request while its result is being sent. The outcome in that result does
    not count as delivered, so the next request for the same call gets it.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[object, object], anyio.CancelScope] = {}

    async def __call__(
        self, ctx: ServerRequestContext[AppContext, Any], call_next: CallNext
    ) -> HandlerResult:
        """Handle a message."""
        delivery = ctx.lifespan_context.calls.delivery
        client = _client_of(ctx)
        if ctx.method == "notifications/cancelled":
            key = client, (ctx.params or {}).get("requestId")
            if (scope := self._open.get(key)) is not None:
                scope.cancel()
            await delivery.answer_canceled(*key)
            return await call_next(ctx)
        key = client, ctx.request_id
        with anyio.CancelScope() as scope:
            self._open[key] = scope
            try:
                async with delivery.request(*key):
                    return await call_next(ctx)
            finally:
                if self._open.get(key) is scope:
                    del self._open[key]
        raise MCPError(REQUEST_CANCELLED, "Request cancelled")


def _client_of(ctx: ServerRequestContext[AppContext, Any]) -> object:
    """Identifies the client of a message: by the session id that it sends, with its user, or else
    by its connection.
    """
    if ctx.request is None or (session_id := ctx.request.headers.get("mcp-session-id")) is None:
        return id(connection_of(ctx))
    user = ctx.request.scope.get("user")
    principal = (
        tuple(authorization_context(user).values()) if isinstance(user, AuthenticatedUser) else ()
    )
    return session_id, *principal
