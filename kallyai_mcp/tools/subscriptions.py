"""Notifies clients that subscribe when a call has changed (`notifications/resources/updated`).

A client of 2026-07-28 sends `subscriptions/listen`. A client of the 2025 versions subscribes to one URI at a time
(`resources/subscribe`). It needs a session to get notifications, which stdio and `/sse` have, but not `/mcp`.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import TaskGroup
from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated, ServerEvent
from mcp.types import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    UnsubscribeRequestParams,
)
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from kallyai_mcp.background import background_task
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.resource_watch import MAX_URIS, ResourceWatch, too_many_uris

METHODS = frozenset({"subscriptions/listen", "initialize"})
"""The methods for which `Subscriptions` is a middleware."""

MOST_PER_ACCOUNT = 500
"""How many subscriptions of the 2025 versions one account may have in all its sessions; each reads the ledger."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SubscribedContext(AppContext):
    """An app context with the subscriptions of a client of the 2025 versions.

    Attributes:
        tasks: Runs the watches of the subscriptions; canceled when the context closes.
        subscriptions: For each URI, the scope that cancels its watch.
    """

    tasks: TaskGroup
    subscriptions: dict[str, anyio.CancelScope] = field(default_factory=dict)


@asynccontextmanager
async def with_subscriptions(app_context: AppContext) -> AsyncIterator[SubscribedContext]:
    """Yield `app_context` with an empty set of subscriptions; cancel the subscriptions at the end."""
    async with anyio.create_task_group() as tasks:
        yield SubscribedContext(**vars(app_context), tasks=tasks)
        tasks.cancel_scope.cancel()


class Subscriptions(InMemorySubscriptionBus):
    """Sends each client its notifications: a subscription bus, a middleware, and the handlers of the 2025 versions."""

    def __init__(self) -> None:
        super().__init__()
        self._running: Counter[str] = Counter()  # subscriptions of the 2025 versions, by account
        self._request_listeners: ContextVar[list[Callable[[ServerEvent], None]] | None] = ContextVar(
            "request_listeners", default=None
        )

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Add a listener, as the SDK's method does, and note its request, so that only this listener is notified."""
        if (listeners := self._request_listeners.get()) is not None:
            listeners.append(listener)
        return super().subscribe(listener)

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Middleware: for subscriptions/listen, check the URIs, and notify the client while the request is open.

        Raises:
            MCPError: As `ResourceWatch.start` raises it.
        """
        if uris := _listen_uris(ctx):
            watch = await ResourceWatch.start(ctx.lifespan_context, uris)
            return await self._listen(watch, ctx, call_next)
        result = await call_next(ctx)
        if ctx.method == "initialize" and is_stateless(ctx):
            return _without_subscribing(result)
        return result

    async def _listen(
        self, watch: ResourceWatch, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        listeners: list[Callable[[ServerEvent], None]] = []

        async def notify(uri: str) -> None:
            for listener in listeners:
                listener(ResourceUpdated(uri=uri))

        token = self._request_listeners.set(listeners)
        try:
            async with background_task(watch.run, notify):
                return await call_next(ctx)
        finally:
            self._request_listeners.reset(token)

    async def subscribe_resource(
        self, ctx: ServerRequestContext[SubscribedContext, Any], params: SubscribeRequestParams
    ) -> EmptyResult:
        """Handler of resources/subscribe (2025-11-25 and earlier).

        Raises:
            MCPError: -32601: there is no session; -32602: the account has `MOST_PER_ACCOUNT` subscriptions, or the
                client has `MAX_URIS`; others as `ResourceWatch.start` raises them.
        """
        if is_stateless(ctx):
            raise MCPError(
                METHOD_NOT_FOUND,
                "Nothing can be sent to a client of this protocol version at /mcp, which keeps no session. Subscribe "
                "over /sse or stdio, or listen with protocol version 2026-07-28.",
            )
        app_context, uri = ctx.lifespan_context, params.uri
        if uri in app_context.subscriptions:
            return EmptyResult()
        if len(app_context.subscriptions) >= MAX_URIS:
            raise too_many_uris()
        watch = await ResourceWatch.start(app_context, [uri])
        account = await app_context.sign_in.account()
        if self._running[account] >= MOST_PER_ACCOUNT:
            raise MCPError(
                INVALID_PARAMS,
                f"You have {MOST_PER_ACCOUNT} subscriptions, which is the most. End one first.",
            )
        scope = app_context.subscriptions[uri] = anyio.CancelScope()

        async def run() -> None:
            self._running[account] += 1
            try:
                with scope:
                    await watch.run(ctx.session.send_resource_updated)
            finally:
                self._running[account] -= 1
                if not self._running[account]:
                    del self._running[account]
                if app_context.subscriptions.get(uri) is scope:
                    del app_context.subscriptions[uri]

        app_context.tasks.start_soon(run)
        return EmptyResult()

    async def unsubscribe_resource(
        self, ctx: ServerRequestContext[SubscribedContext, Any], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        """Handler of resources/unsubscribe; a URI without a subscription is not an error."""
        if (scope := ctx.lifespan_context.subscriptions.pop(params.uri, None)) is not None:
            scope.cancel()
        return EmptyResult()


def _listen_uris(ctx: ServerRequestContext[Any, Any]) -> list[str]:
    """The URIs in a subscriptions/listen request; none if its parameters are invalid (then the SDK refuses it)."""
    if ctx.method != "subscriptions/listen" or ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return []
    try:
        params = SubscriptionsListenRequestParams.model_validate(dict(ctx.params or {}), by_name=False)
    except ValidationError:
        return []
    return params.notifications.resource_subscriptions or []


def is_stateless(ctx: ServerRequestContext[Any, Any]) -> bool:
    """Whether the request came over `/mcp`. A client of the 2025 versions can get only responses there."""
    return ctx.request is not None and ctx.request.url.path.endswith("/mcp")


def _without_subscribing(result: HandlerResult) -> HandlerResult:
    """The `result` of initialize, without the subscribe capability."""
    if isinstance(result, dict) and "resources" in result["capabilities"]:
        result["capabilities"]["resources"]["subscribe"] = False
    return result
