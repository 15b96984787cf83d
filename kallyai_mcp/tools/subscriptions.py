"""News of calls for those who listen: `notifications/resources/updated` once a call under way has ended.

A client of 2026-07-28 listens by `subscriptions/listen`; one of the 2025 era subscribes to one URI at a time, where it
has a session on which something can be sent (stdio, `/sse`; not `/mcp`). For each of them this process looks into the
ledger, which all processes share: so it hears of calls that another one carries out, nothing is looked for while nobody
listens, and nobody is told what is not theirs, not even that something happened.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from typing import Any

import anyio
from anyio.abc import TaskGroup
from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated, ServerEvent
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    UnsubscribeRequestParams,
)
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from typing_extensions import override

from kallyai_mcp.api.errors import KallyAIError, NotFoundError
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.text.errors import error_text
from kallyai_mcp.tools.uris import CALLS, call_id_in

LOOK_EVERY = 1.0
"""Seconds between two looks into the ledger, for each who listens."""

ASK_EVERY = 5.0
"""Seconds between two questions to the service about a call that the ledger knows nothing of."""

MOST = 100
"""How many URIs one client may listen to at once."""

_REFUSED = "Only your own calls can be listened to."
"""The same for a foreign call and one that doesn't exist, so that a refusal tells nothing of either."""

Tell = Callable[[str], Awaitable[None]]
"""Called with the URI of what has changed."""


class Watch:
    """What one client listens to, and how it was when last looked at; made by `begin`."""

    def __init__(self, app_context: AppContext) -> None:
        self._app_context = app_context
        self._list = False
        self._recorded: dict[str, set[str]] = {}
        self._others: dict[str, set[str]] = {}
        self._open: dict[str, bool] = {}
        self._asked = anyio.current_time()

    @classmethod
    async def begin(cls, app_context: AppContext, uris: Iterable[str]) -> "Watch":
        """Look at what `uris` name: from now on a change is news.

        Raises:
            MCPError: -32602, something is not theirs or there are too many; -32603, it can't be told.
        """
        watch = cls(app_context)
        wanted = set(uris)
        if len(wanted) > MOST:
            raise MCPError(INVALID_PARAMS, f"More than {MOST} resources can't be listened to at once.")
        try:
            for uri in sorted(wanted):
                await watch._add(uri)
            watch._open = await watch._now_open()
        except NotFoundError:
            raise MCPError(INVALID_PARAMS, _REFUSED) from None
        except KallyAIError as error:
            raise MCPError(INTERNAL_ERROR, error_text(error, places_calls=False)) from error
        return watch

    async def run(self, tell: Tell) -> None:
        """Tell of what changes, until nothing more can."""
        while self._list or self._recorded or self._others:
            await anyio.sleep(LOOK_EVERY)
            news: list[str] = []
            with suppress(KallyAIError):  # the next look may have more luck
                news += await self._in_ledger()
            if anyio.current_time() - self._asked >= ASK_EVERY:
                with suppress(KallyAIError):
                    news += await self._at_service()
                self._asked = anyio.current_time()
            for uri in news:
                await tell(uri)

    async def _add(self, uri: str) -> None:
        if uri == CALLS:
            self._list = True
            return
        id_ = call_id_in(uri)
        if id_ is None:
            raise MCPError(INVALID_PARAMS, _REFUSED)
        record = await self._app_context.calls.find(id_)
        if record is None:
            if not (await self._app_context.api().get_call(id_)).is_final:
                self._others.setdefault(id_, set()).add(uri)
        elif record.is_under_way or record.state is CallState.UNKNOWN:
            self._recorded.setdefault(record.tracking_id, set()).add(uri)

    async def _now_open(self) -> dict[str, bool]:
        """The calls that have no outcome, and whether each is under way still."""
        unsettled = await self._app_context.calls.unsettled() if self._list or self._recorded else []
        return {record.tracking_id: record.is_under_way for record in unsettled}

    async def _in_ledger(self) -> list[str]:
        before, self._open = self._open, await self._now_open()
        news = [CALLS] if self._list and before != self._open else []
        for id_ in [id_ for id_ in self._recorded if before.get(id_) != self._open.get(id_)]:
            news += sorted(self._recorded[id_])
        self._recorded = {id_: uris for id_, uris in self._recorded.items() if id_ in self._open}
        return news

    async def _at_service(self) -> list[str]:
        news: list[str] = []
        for id_ in list(self._others):
            if (await self._app_context.api().get_call(id_)).is_final:
                news += sorted(self._others.pop(id_))
        return news


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SubscribedContext(AppContext):
    """A desk with what is listened to at it in the 2025 era: a scope for each URI, in tasks that end with the desk."""

    tasks: TaskGroup
    listening: dict[str, anyio.CancelScope] = field(default_factory=dict)


@asynccontextmanager
async def listened(app_context: AppContext) -> AsyncIterator[SubscribedContext]:
    """`app_context`, for as long as it is there, with room for subscriptions."""
    async with anyio.create_task_group() as tasks:
        yield SubscribedContext(
            **{part.name: getattr(app_context, part.name) for part in fields(app_context) if part.init}, tasks=tasks
        )
        tasks.cancel_scope.cancel()


class Subscriptions(InMemorySubscriptionBus):
    """Tells each listener what it listens to. The server's bus, its middleware, and two handlers of the 2025 era."""

    def __init__(self) -> None:
        super().__init__()
        self._stream: ContextVar[list[Callable[[ServerEvent], None]] | None] = ContextVar("stream", default=None)

    @override
    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """As the SDK's; the listener of a stream of ours is noted, so that it alone can be told."""
        if (stream := self._stream.get()) is not None:
            stream.append(listener)
        return super().subscribe(listener)

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Let a message through; refuse who listens to what isn't theirs, and tell the others.

        Raises:
            MCPError: As `Watch.begin`.
        """
        if uris := _listened_to(ctx):
            watch = await Watch.begin(ctx.lifespan_context, uris)
            return await self._listen(watch, ctx, call_next)
        result = await call_next(ctx)
        if ctx.method == "initialize" and _has_no_session(ctx):
            return _without_subscribing(result)
        return result

    async def _listen(self, watch: Watch, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        stream: list[Callable[[ServerEvent], None]] = []

        async def tell(uri: str) -> None:
            for listener in stream:
                listener(ResourceUpdated(uri=uri))

        refusal: MCPError | None = None
        result: HandlerResult = None
        token = self._stream.set(stream)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch.run, tell)
                try:
                    result = await call_next(ctx)
                except MCPError as error:  # raised below: the group would wrap it
                    refusal = error
                tasks.cancel_scope.cancel()
        finally:
            self._stream.reset(token)
        if refusal is not None:
            raise refusal
        return result

    async def subscribe_resource(
        self, ctx: ServerRequestContext[SubscribedContext, Any], params: SubscribeRequestParams
    ) -> EmptyResult:
        """Handler of resources/subscribe (2025-11-25 and before).

        Raises:
            MCPError: -32601, there is no session; else as `Watch.begin`.
        """
        if _has_no_session(ctx):
            raise MCPError(
                METHOD_NOT_FOUND,
                "Nothing can be sent to a client of this era at /mcp, which keeps no session. Subscribe over /sse or "
                "stdio, or listen with protocol version 2026-07-28.",
            )
        app_context, uri = ctx.lifespan_context, params.uri
        if uri in app_context.listening:
            return EmptyResult()
        if len(app_context.listening) >= MOST:
            raise MCPError(INVALID_PARAMS, f"More than {MOST} resources can't be listened to at once.")
        watch = await Watch.begin(app_context, [uri])
        scope = app_context.listening[uri] = anyio.CancelScope()

        async def follow() -> None:
            try:
                with scope:
                    await watch.run(ctx.session.send_resource_updated)
            finally:
                if app_context.listening.get(uri) is scope:
                    del app_context.listening[uri]

        app_context.tasks.start_soon(follow)
        return EmptyResult()

    async def unsubscribe_resource(
        self, ctx: ServerRequestContext[SubscribedContext, Any], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        """Handler of resources/unsubscribe; what isn't subscribed to is unsubscribed already."""
        if (scope := ctx.lifespan_context.listening.pop(params.uri, None)) is not None:
            scope.cancel()
        return EmptyResult()


def _listened_to(ctx: ServerRequestContext[Any, Any]) -> list[str]:
    """The URIs that a subscriptions/listen names; none if its parameters are wrong, which the SDK answers."""
    if ctx.method != "subscriptions/listen" or ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return []
    try:
        params = SubscriptionsListenRequestParams.model_validate(dict(ctx.params or {}), by_name=False)
    except ValidationError:
        return []
    return params.notifications.resource_subscriptions or []


def _has_no_session(ctx: ServerRequestContext[Any, Any]) -> bool:
    """Whether it came to `/mcp`, where nothing can be sent to a client beside the answer to its request."""
    return ctx.request is not None and ctx.request.url.path.endswith("/mcp")


def _without_subscribing(result: HandlerResult) -> HandlerResult:
    """The answer to initialize, without the capability that there isn't here."""
    if not isinstance(result, dict):
        return result
    capabilities: Mapping[str, Any] = result.get("capabilities") or {}
    resources: Mapping[str, Any] = capabilities.get("resources") or {}
    return result | {"capabilities": {**capabilities, "resources": {**resources, "subscribe": False}}}
