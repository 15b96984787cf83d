"""Cancels requests to `/mcp` of protocol versions up to 2025-11-25.

There each message has its own connection, and the server keeps no sessions. The id in a `notifications/cancelled` is
unique only for one client, so the SDK can't find the request. Therefore clients get a session id that only identifies
the client (`_with_session_id` in `transports/asgi_app.py`).
"""

import hashlib
import json
from contextlib import suppress
from typing import Any

import anyio
from mcp import MCPError
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, authorization_context
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from kallyai_mcp.calls.ledger import shared_values
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.server.sdk_internals import connection_of
from kallyai_mcp.tools.context import AppContext

REQUEST_CANCELLED = -32800
"""The SDK's error code. Its module `mcp.server.streamable_http` is imported only by a server over HTTP."""

_KIND = "canceled_request"
"""The kind of the shared values for requests whose cancellation reached another worker."""

_REMEMBERED = 600.0
"""How many seconds these values are kept. No tool waits longer."""

QUICK = 0.5
"""Seconds. For a request that took less, these values are not read, because no client cancels so soon."""


class Cancellations:
    """Middleware that ends a request when its client cancels it with a notification.

    The request is answered with an error, as the SDK does in a session, because a stream of these versions ends only
    with a response. With several workers, the notification may reach another one. Then the request goes on to its
    result, which is dropped and does not count as delivered.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[object, object], anyio.CancelScope] = {}

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Handle a message."""
        session = _named_session(ctx)
        if session is None:
            return await call_next(ctx)
        if ctx.method == "notifications/cancelled":
            key = session, (ctx.params or {}).get("requestId")
            if (scope := self._open.get(key)) is not None:
                scope.cancel()
            else:
                await _tell_other_workers(ctx, key)
            return await call_next(ctx)
        key, began = (session, ctx.request_id), anyio.current_time()
        with anyio.CancelScope() as scope:
            self._open[key] = scope
            try:
                result = await call_next(ctx)
            finally:
                if self._open.get(key) is scope:
                    del self._open[key]
            if anyio.current_time() - began < QUICK or not await _is_canceled_elsewhere(ctx, key):
                return result
            await ctx.lifespan_context.calls.delivery.canceled(*key)
        raise MCPError(REQUEST_CANCELLED, "Request cancelled")


async def _tell_other_workers(ctx: ServerRequestContext[Any, Any], key: tuple[object, object]) -> None:
    app_context: AppContext = ctx.lifespan_context
    with suppress(LedgerUnavailableError):  # without it, the client gets a result, which it ignores
        await app_context.calls.ledger.write(shared_values.add, _KIND, _name(key), "1", _REMEMBERED)


async def _is_canceled_elsewhere(ctx: ServerRequestContext[Any, Any], key: tuple[object, object]) -> bool:
    app_context: AppContext = ctx.lifespan_context
    with suppress(LedgerUnavailableError):
        return bool(await app_context.calls.ledger.read(shared_values.get, _KIND, _name(key)))
    return False


def _name(key: tuple[object, object]) -> str:
    """A short name for one request of one session, which is the same in every worker."""
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()


def sender_of(ctx: ServerRequestContext[Any, Any]) -> object:
    """Identifies the client of a message: by the session id that it sends, or else by its connection."""
    return _named_session(ctx) or id(connection_of(ctx))


def _named_session(ctx: ServerRequestContext[Any, Any]) -> tuple[object, ...] | None:
    """The session id of a message to `/mcp`, with the user of its bearer token; None without a session id."""
    if ctx.request is None or (name := ctx.request.headers.get("mcp-session-id")) is None:
        return None
    user = ctx.request.scope.get("user")
    principal = tuple(authorization_context(user).values()) if isinstance(user, AuthenticatedUser) else ()
    return name, *principal
