"""Cancels requests to `/mcp` of protocol versions up to 2025-11-25, where each message has a connection of its own.

There the SDK can't tell which request a `notifications/cancelled` means: ids are unique for one client only, and the
server keeps no sessions. So clients get a session id (`transports/session_ids.py`) that names them and nothing else.
"""

import hashlib
import json
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

import anyio
from mcp import MCPError
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, authorization_context
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.server.sdk_internals import connection_of
from kallyai_mcp.tools.context import AppContext

REQUEST_CANCELLED = -32800
"""The SDK's code, from `mcp.server.streamable_http`, which only a server over HTTP loads."""

METHODS = frozenset({"tools/call", "tasks/get", "resources/read", "completion/complete", "notifications/cancelled"})
"""The requests that may take long, and what cancels them."""

_KIND = "canceled_request"
"""The kind of the shared values that say which requests were canceled at another worker."""

_REMEMBERED = 600.0
"""Seconds for which they are kept; no tool waits longer."""

QUICK = 0.5
"""Seconds: a request that took less is not looked up, because nobody gives up so soon."""


class Cancellations:
    """Middleware that ends a request when its client cancels it in a message of its own.

    The request is answered with an error, as the SDK does in a session: a stream of these versions ends only with a
    response. With several workers, the message may reach another one. Then the request goes on until it has its result,
    which is dropped, and does not count as delivered.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[object, object], anyio.CancelScope] = {}

    def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> Awaitable[HandlerResult]:
        """Pass a message on."""
        session = _named_session(ctx)
        return call_next(ctx) if session is None else self._of_session(session, ctx, call_next)

    async def _of_session(
        self, session: tuple[object, ...], ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
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
    if app_context.shared_state is not None:
        with suppress(LedgerUnavailableError):  # then the client gets a result that it ignores
            await app_context.shared_state().add(_KIND, _name(key), "1", _REMEMBERED)


async def _is_canceled_elsewhere(ctx: ServerRequestContext[Any, Any], key: tuple[object, object]) -> bool:
    app_context: AppContext = ctx.lifespan_context
    with suppress(LedgerUnavailableError):
        return app_context.shared_state is not None and bool(await app_context.shared_state().get(_KIND, _name(key)))
    return False


def _name(key: tuple[object, object]) -> str:
    """The same in every worker for one request of one session, and short."""
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()


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
