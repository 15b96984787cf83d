"""The Events extension (SEP-3415): a client learns that a call has ended, by polling or on a stream it keeps open.

Events come from the ledger, and a cursor is a position there. So a client that was away catches up, and whichever
process runs the call, every process of its account can tell.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal

import anyio
from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp.types import INTERNAL_ERROR, INVALID_PARAMS, PaginatedRequestParams, RequestParams, Result
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from typing_extensions import override

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.events import ENDED, Event, EventPage
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.server.sdk_internals import notify_on_request
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.text.errors import error_text

EVENTS: Final = "io.modelcontextprotocol/events"
"""The extension's identifier."""

NOT_FOUND, FORBIDDEN, UNSUPPORTED = -32023, -32024, -32026
"""The codes of "Error Handling"."""

POLL_MS: Final = 5_000
"""How often a client should poll, in milliseconds: a phone call takes one to three minutes."""

LEDGER_INTERVAL = 1.0
"""Seconds between two reads of the ledger, for each stream."""

HEARTBEAT = 15.0
"""Seconds after which a stream says that it lives; the specification asks for 30 at most."""

MOST = 200
"""How many events one answer has at most."""

_NULLABLE_TEXT: Final = {"type": ["string", "null"]}
_CALL_ENDED: Final[dict[str, Any]] = {
    "name": ENDED,
    "description": "A phone call has ended, or it is certain that it will not be placed. get_call has what was said.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "call_id": {"type": "string", "description": "call_id or tracking_id of the one call to hear of"},
        },
        "additionalProperties": False,
    },
    "payloadSchema": {
        "type": "object",
        "properties": {
            "tracking_id": {"type": "string"},
            "call_id": _NULLABLE_TEXT,
            "status": {"type": "string", "description": "As in get_call, or refused, canceled, or expired"},
            "outcome": _NULLABLE_TEXT | {"description": "As in get_call; null if no call was placed"},
            "code": _NULLABLE_TEXT | {"description": "Why no call was placed"},
            "callee": {
                "type": "object",
                "properties": {"business_name": _NULLABLE_TEXT, "respondent_phone": {"type": "string"}},
            },
        },
        "required": ["tracking_id", "call_id", "status", "outcome", "callee"],
    },
}
TYPES: Final = {each["name"]: each for each in (_CALL_ENDED,)}
"""The event types by name, without their delivery modes."""

_BUILT_WHEN_USED = ConfigDict(defer_build=True)
"""Few clients use events, and building the models takes time at every start."""

_Context = ServerRequestContext[AppContext, Any]


class EventArguments(BaseModel):
    """The arguments of a subscription."""

    model_config = ConfigDict(defer_build=True, extra="forbid")

    call_id: str | None = None


class SubscriptionParams(RequestParams):
    """What events/poll, events/stream, and events/subscribe have in common: what a client wants to hear of."""

    model_config = _BUILT_WHEN_USED

    name: str
    arguments: EventArguments = EventArguments.model_construct(call_id=None)
    cursor: str | None = None
    max_age_ms: int | None = Field(None, ge=0)

    @property
    def position(self) -> int | None:
        """The position that the cursor stands for.

        Raises:
            MCPError: -32602: it is not one of this server's.
        """
        if self.cursor is None:
            return None
        if not (self.cursor.isascii() and self.cursor.isdecimal() and len(self.cursor) <= 18):
            raise MCPError(INVALID_PARAMS, "That cursor is not one of this server's; leave it out to start from now.")
        return int(self.cursor)

    def wants(self, event: Event) -> bool:
        """Whether the client wants to hear of this event."""
        call_id = self.arguments.call_id
        return event.name == self.name and (call_id is None or event.concerns(call_id))


class PollParams(SubscriptionParams):
    """The parameters of events/poll."""

    model_config = _BUILT_WHEN_USED

    max_events: int = Field(50, ge=1)


class Occurrence(BaseModel):
    """The specification's EventOccurrence; `cursor` is not part of a poll's."""

    model_config = _BUILT_WHEN_USED

    eventId: str  # noqa: N815 - the specification's name
    name: str
    timestamp: AwareDatetime
    data: dict[str, Any]
    cursor: str | None = None


class EventTypes(Result):
    """The result of events/list."""

    model_config = _BUILT_WHEN_USED

    events: list[dict[str, Any]]


class Polled(Result):
    """The result of events/poll."""

    model_config = _BUILT_WHEN_USED

    events: list[Occurrence]
    cursor: str
    truncated: bool
    has_more: bool
    next_poll_ms: int = POLL_MS


class Streamed(Result):
    """The result of events/stream, when the server ends it."""

    model_config = _BUILT_WHEN_USED

    result_type: Literal["complete"] = "complete"


class Events(Extension):
    """Events of calls, by poll and push."""

    identifier = EVENTS

    @override
    def methods(self) -> Sequence[MethodBinding]:
        """events/list, events/poll, and events/stream, at every version: `declare_events` declares them at every one.

        They raise `MCPError`: -32023 for an unknown event type, -32602 for wrong parameters, -32603 when the ledger or
        the account can't be read.
        """
        return [
            MethodBinding("events/list", PaginatedRequestParams, self._list),
            MethodBinding("events/poll", PollParams, self._poll),
            MethodBinding("events/stream", SubscriptionParams, self._stream),
        ]

    async def _list(self, ctx: _Context, params: PaginatedRequestParams) -> EventTypes:
        if params.cursor is not None:
            raise MCPError(INVALID_PARAMS, "There is no such page: all event types are on the first one.")
        delivery = ["poll", "push"] if can_stream(ctx) else ["poll"]
        return EventTypes(events=[{**each, "delivery": delivery} for each in TYPES.values()])

    async def _poll(self, ctx: _Context, params: PollParams) -> Polled:
        check_type(params.name)
        account = await account_of(ctx)
        page = await page_of(ctx, account, params, params.position, min(params.max_events, MOST))
        return Polled(
            events=[occurrence(event) for event in page.events if params.wants(event)],
            cursor=str(page.position),
            truncated=page.has_gap,
            has_more=not page.is_complete,
        )

    async def _stream(self, ctx: _Context, params: SubscriptionParams) -> Streamed:
        check_type(params.name)
        if not can_stream(ctx):
            raise MCPError(
                UNSUPPORTED,
                "Nothing can be sent to a client of this protocol version at /mcp. Poll with events/poll.",
                {"feature": "deliveryMode", "value": "push"},
            )
        account = await account_of(ctx)
        stream = _Stream(ctx, params, account)
        await stream.run()
        return Streamed.model_validate({"_meta": stream.meta})


class _Stream:
    """One open events/stream."""

    def __init__(self, ctx: _Context, params: SubscriptionParams, account: AccountKey) -> None:
        self._ctx, self._params, self._account = ctx, params, account
        self._position = params.position
        self.meta: Mapping[str, Any] = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}

    async def run(self) -> None:
        """Send events until the client ends the stream, or another account is signed in."""
        page = await page_of(self._ctx, self._account, self._params, self._position, MOST)
        start = self._position if self._position is not None and not page.has_gap else page.position
        if page.has_gap:
            start = page.events[0].position - 1 if page.events else page.position
        await self._send("active", cursor=str(start), truncated=page.has_gap)
        is_failing = False
        heard_at = anyio.current_time()
        while True:
            for event in filter(self._params.wants, page.events):
                await self._send("event", **occurrence(event, str(event.position)).model_dump(mode="json"))
                heard_at = anyio.current_time()
            self._position = page.position
            if anyio.current_time() - heard_at >= HEARTBEAT:
                await self._send("heartbeat", cursor=str(self._position))
                heard_at = anyio.current_time()
            if page.is_complete:
                await anyio.sleep(LEDGER_INTERVAL)
            page = EventPage((), self._position)
            try:
                if await self._ctx.lifespan_context.calls.account() != self._account:
                    await self._send("terminated", error=_error(FORBIDDEN, "Another account is signed in now."))
                    return
                page = await page_of(self._ctx, self._account, self._params, self._position, MOST)
                is_failing = False
            except (KallyAIError, MCPError) as error:
                if not is_failing:  # once, and then it is tried again each time
                    await self._send("error", error=_error(INTERNAL_ERROR, str(error)))
                is_failing = True

    async def _send(self, kind: str, **params: Any) -> None:
        await notify_on_request(self._ctx, f"notifications/events/{kind}", {**params, "_meta": dict(self.meta)})


async def declare_events(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware: declare events as a capability of its own, too, which ChatGPT looks for.

    The SDK leaves capabilities that it doesn't know out of the result of server/discover, and extensions out of that of
    initialize.
    """
    result = await call_next(ctx)
    if ctx.method in ("server/discover", "initialize") and isinstance(result, dict):
        capabilities = result["capabilities"]
        extensions = {**capabilities.get("extensions", {}), EVENTS: {}}
        return {**result, "capabilities": {**capabilities, "events": {}, "extensions": extensions}}
    return result


def can_stream(ctx: _Context) -> bool:
    """Whether notifications reach the client of a request: not at /mcp before 2026-07-28, where it has no session."""
    is_stateless = ctx.request is not None and ctx.request.url.path.endswith("/mcp")
    return not is_stateless or ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


def check_type(name: str) -> None:
    """Check that there are events of this name.

    Raises:
        MCPError: -32023: there are none.
    """
    if name not in TYPES:
        raise MCPError(NOT_FOUND, f"There is no such event; there is {', '.join(TYPES)}.", {"kind": "event"})


async def account_of(ctx: _Context) -> AccountKey:
    """The account whose events the client may read.

    Raises:
        MCPError: -32603: none is signed in.
    """
    try:
        return await ctx.lifespan_context.calls.account()
    except KallyAIError as error:
        raise MCPError(INTERNAL_ERROR, error_text(error, places_calls=False)) from error


async def page_of(
    ctx: _Context, account: AccountKey, params: SubscriptionParams, position: int | None, most: int
) -> EventPage:
    """The events after a position.

    Raises:
        MCPError: -32603: the ledger can't be used.
    """
    now, age = ctx.lifespan_context.now(), params.max_age_ms
    since = now - timedelta(milliseconds=min(age, 10**15)) if age is not None and position is not None else None
    try:
        return await ctx.lifespan_context.calls.events(account, position, since=since, most=most)
    except KallyAIError as error:
        raise MCPError(INTERNAL_ERROR, error_text(error, places_calls=False)) from error


def occurrence(event: Event, cursor: str | None = None) -> Occurrence:
    """An event as it is sent."""
    return Occurrence(eventId=event.event_id, name=event.name, timestamp=event.at, data=event.data, cursor=cursor)


def _error(code: int, message: str) -> dict[str, Any]:
    return {"code": code, "message": message}
