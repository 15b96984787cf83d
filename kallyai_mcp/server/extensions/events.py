"""The Events extension (SEP-3415): clients learn that a call has ended by polling, on an open stream, or by webhooks.

Events come from the ledger, and a cursor is a position there. So a client that was disconnected gets the events that it
missed, and every process of the account can report the calls of the others.

The models are built when they are first used: that takes time, and few clients use events.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import anyio
from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp.types import INVALID_PARAMS, PaginatedRequestParams
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import Field

from kallyai_mcp.calls.events import ACCESS_REVOKED, FORBIDDEN, UNSUPPORTED, EventPage, occurrence
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.common_types import REVOKED_SIGN_IN
from kallyai_mcp.server.extensions.event_webhooks import webhook_methods, webhooks_of
from kallyai_mcp.server.extensions.events_common import (
    TYPES,
    Context,
    SubscriptionParams,
    check_type,
    sign_in_of,
    since,
    token_of,
)
from kallyai_mcp.server.sdk_internals import notify_on_request
from kallyai_mcp.tools.subscriptions import is_stateless
from kallyai_mcp.tools.tool_errors import protocol_errors

EVENTS: Final = "io.modelcontextprotocol/events"
"""The extension's identifier."""

POLL_MS: Final = 5_000
"""How often a client should poll, in milliseconds. A phone call takes one to three minutes."""

LEDGER_INTERVAL = 1.0
"""Seconds between two reads of the ledger for a stream."""

HEARTBEAT = 15.0
"""Seconds between the heartbeats of a stream; at most 30 by the SEP."""

MOST = 200
"""The most events in one answer."""


class PollParams(SubscriptionParams):
    """The parameters of events/poll."""

    max_events: int = Field(50, ge=1)


class Events(Extension):
    """Events of calls, by poll, push, and webhook."""

    identifier = EVENTS

    def methods(self) -> Sequence[MethodBinding]:
        """events/list, events/poll, and events/stream for every protocol version, and the methods of webhooks.

        They raise `MCPError`: -32023 for an unknown event type, -32602 for wrong parameters, -32603 when the ledger or
        the account can't be read. For the methods of webhooks see `webhook_methods`.
        """
        return [
            MethodBinding("events/list", PaginatedRequestParams, self._list),
            MethodBinding("events/poll", PollParams, self._poll),
            MethodBinding("events/stream", SubscriptionParams, self._stream),
            *webhook_methods(),
        ]

    async def _list(self, ctx: Context, params: PaginatedRequestParams) -> dict[str, Any]:
        if params.cursor is not None:
            raise MCPError(
                INVALID_PARAMS,
                "There is no such page: all event types are on the first one.",
            )
        modes = {"poll": True, "push": can_stream(ctx), "webhook": webhooks_of(ctx) is not None}
        delivery = [mode for mode, is_offered in modes.items() if is_offered]
        return {"events": [{**each, "delivery": delivery} for each in TYPES.values()]}

    async def _poll(self, ctx: Context, params: PollParams) -> dict[str, Any]:
        check_type(params.name)
        calls, most = ctx.lifespan_context.calls, min(params.max_events, MOST)
        with protocol_errors():
            page = await calls.events(await calls.account(), params.position, since=since(ctx, params), most=most)
        return {
            "events": [occurrence(event, None) for event in page.events if params.wants(event)],
            "cursor": str(page.position),
            "truncated": page.has_gap,
            "hasMore": not page.is_complete,
            "nextPollMs": POLL_MS,
        }

    async def _stream(self, ctx: Context, params: SubscriptionParams) -> dict[str, Any]:
        check_type(params.name)
        if not can_stream(ctx):
            raise MCPError(
                UNSUPPORTED,
                "Nothing can be sent to a client of this protocol version at /mcp. Poll with events/poll.",
                {"feature": "deliveryMode", "value": "push"},
            )
        with protocol_errors():
            account = await ctx.lifespan_context.calls.account()
        stream = _Stream(ctx, params, account)
        await stream.run()
        return {"_meta": stream.meta, "resultType": "complete"}


class _Stream:
    """One open events/stream."""

    def __init__(self, ctx: Context, params: SubscriptionParams, account: AccountKey) -> None:
        self._ctx, self._params, self._account = ctx, params, account
        self._position = params.position
        self.meta = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}

    async def run(self) -> None:
        """Send events until the client ends the stream, or may not get the account's events any more."""
        oldest = since(self._ctx, self._params)  # only for events from before the stream was opened
        page = await self._read(oldest)
        await self._send_active(page)
        is_failing = False
        sent_at = anyio.current_time()
        while True:
            for event in filter(self._params.wants, page.events):
                await self._send("event", **occurrence(event, str(event.position)))
                sent_at = anyio.current_time()
            self._position = page.position
            if anyio.current_time() - sent_at >= HEARTBEAT:
                await self._send("heartbeat", cursor=str(self._position))
                sent_at = anyio.current_time()
            if page.is_complete:
                oldest = None
                await anyio.sleep(LEDGER_INTERVAL)
            page = EventPage((), self._position)
            try:
                if (reason := await self._reason_to_end()) is not None:
                    await self._send("terminated", error=reason.error.model_dump())
                    return
                page = await self._read(oldest)
                is_failing = False
                if page.has_gap:
                    await self._send_active(page)
            except MCPError as error:
                if not is_failing:  # reported once; the reads are repeated
                    await self._send("error", error=error.error.model_dump(exclude_none=True))
                is_failing = True

    async def _read(self, oldest: datetime | None) -> EventPage:
        """The events after the position, without those before `oldest`."""
        with protocol_errors():
            return await self._ctx.lifespan_context.calls.events(self._account, self._position, since=oldest, most=MOST)

    async def _reason_to_end(self) -> MCPError | None:
        """Why the client may not get the account's events any more; None if it may."""
        app_context, token = self._ctx.lifespan_context, token_of(self._ctx)
        if token is not None and token.expires_at is not None and token.expires_at <= app_context.now().timestamp():
            return _ended("The bearer token has expired.")
        sign_in, shared_state = sign_in_of(token), app_context.shared_state
        with protocol_errors():
            if sign_in and shared_state is not None and await shared_state().get(REVOKED_SIGN_IN, sign_in) is not None:
                return _ended("The sign-in was revoked.")
            if await app_context.calls.account() != self._account:
                return _ended("Another account is signed in now.")
        return None

    async def _send_active(self, page: EventPage) -> None:
        """Send the cursor where the stream begins, or where it goes on after a gap."""
        start = self._position if self._position is not None and not page.has_gap else page.position
        if page.has_gap and page.events:
            start = page.events[0].position - 1
        await self._send("active", cursor=str(start), truncated=page.has_gap)

    async def _send(self, kind: str, **params: Any) -> None:
        await notify_on_request(self._ctx, f"notifications/events/{kind}", {**params, "_meta": self.meta})


async def declare_events(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware that declares events as an extension, and also as a capability, because ChatGPT reads that.

    The SDK declares neither unknown capabilities in server/discover, nor extensions in initialize.
    """
    result = await call_next(ctx)
    if ctx.method in ("server/discover", "initialize") and isinstance(result, dict):
        capabilities = result["capabilities"]
        extensions = {**capabilities.get("extensions", {}), EVENTS: {}}
        return {**result, "capabilities": {**capabilities, "events": {}, "extensions": extensions}}
    return result


def can_stream(ctx: Context) -> bool:
    """Whether the client of a request can get notifications. At `/mcp` it can't before the version 2026-07-28."""
    return not is_stateless(ctx) or ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


def _ended(why: str) -> MCPError:
    return MCPError(FORBIDDEN, why, {"reason": ACCESS_REVOKED})
