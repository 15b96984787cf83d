"""The webhooks of the Events extension (SEP-3415): events/subscribe and events/unsubscribe, at `/mcp`.

They need a bearer token, because a subscription belongs to a user. Clients without one poll or stream.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from mcp import MCPError
from mcp.server.extension import MethodBinding
from mcp.types import INVALID_PARAMS, EmptyResult, RequestParams, Result
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import AwareDatetime, BaseModel, Field

from kallyai_mcp.calls.events import CALLBACK_ENDPOINT_ERROR, FORBIDDEN, NOT_FOUND, RESOURCE_EXHAUSTED
from kallyai_mcp.server.extensions.events_common import (
    Context,
    EventArguments,
    SubscriptionParams,
    check_type,
    sign_in_of,
    since,
    token_of,
)
from kallyai_mcp.tools.tool_errors import protocol_errors
from kallyai_mcp.urls import https_host

if TYPE_CHECKING:
    from kallyai_mcp.calls.webhooks import GrantedSubscription, Webhooks


class WebhookAddress(BaseModel, defer_build=True):
    """The URL that a subscription's events are sent to."""

    url: str = Field(max_length=2_000)


class WebhookDelivery(WebhookAddress):
    """The URL, and the secret that signs the events."""

    mode: Literal["webhook"] = "webhook"
    secret: str


class SubscribeParams(SubscriptionParams):
    """The parameters of events/subscribe."""

    delivery: WebhookDelivery
    ttl_ms: int | None = Field(None, ge=0)


class UnsubscribeParams(RequestParams, defer_build=True):
    """The parameters of events/unsubscribe."""

    name: str
    arguments: EventArguments = EventArguments.model_construct(call_id=None)
    delivery: WebhookAddress


class DeliveryStatus(BaseModel, defer_build=True):
    """The result of the deliveries so far, for a subscription that is refreshed."""

    active: bool = True
    lastDeliveryAt: AwareDatetime | None  # noqa: N815 - the specification's name
    lastError: str | None  # noqa: N815 - the same
    failedSince: AwareDatetime | None = None  # noqa: N815 - the same


class Subscribed(Result, defer_build=True):
    """The result of events/subscribe."""

    id: str
    refresh_before: AwareDatetime
    cursor: str
    truncated: bool
    delivery_status: DeliveryStatus | None = None


def webhook_methods() -> list[MethodBinding]:
    """events/subscribe and events/unsubscribe.

    They raise `MCPError` with these codes:

    * -32602: the URL or the secret can't be used.
    * -32023: there is no such event type, or no such subscription.
    * -32024: the client has no bearer token.
    * -32025: the account has too many subscriptions.
    * -32027: the URL does not answer the challenge.
    * -32603: the ledger can't be used.
    """
    versions = frozenset(MODERN_PROTOCOL_VERSIONS)
    return [
        MethodBinding("events/subscribe", SubscribeParams, _subscribe, versions),
        MethodBinding("events/unsubscribe", UnsubscribeParams, _unsubscribe, versions),
    ]


def webhooks_of(ctx: Context) -> "Webhooks | None":
    """The webhooks; None if the client of the request may not subscribe a URL."""
    may_subscribe = token_of(ctx) is not None and ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
    return ctx.lifespan_context.webhooks if may_subscribe else None


async def _subscribe(ctx: Context, params: SubscribeParams) -> Subscribed:
    # Imported late: no client over stdio subscribes.
    from kallyai_mcp.calls.webhooks import CallbackError, TooManyError, is_secret

    webhooks = _webhooks(ctx)
    check_type(params.name)
    if (host := https_host(params.delivery.url)) is None:
        raise MCPError(
            INVALID_PARAMS,
            "delivery.url must be an https address, without a port or a password.",
        )
    if not is_secret(params.delivery.secret):
        raise MCPError(
            INVALID_PARAMS,
            "delivery.secret must be whsec_ and the base64 of 24 to 64 random bytes.",
        )
    token = token_of(ctx)
    with protocol_errors():
        try:
            granted = await webhooks.subscribe(
                await ctx.lifespan_context.calls.account(),
                url=params.delivery.url,
                host=host,
                name=params.name,
                call_id=params.arguments.call_id,
                secret=params.delivery.secret,
                after=params.position,
                since=since(ctx, params),
                ttl=timedelta(milliseconds=min(params.ttl_ms, 10**12)) if params.ttl_ms is not None else None,
                # The token allows the client to get the events. After its end, the client must send a new one.
                until=datetime.fromtimestamp(token.expires_at, UTC) if token is not None and token.expires_at else None,
                sign_in=sign_in_of(token),
            )
        except CallbackError as error:
            raise MCPError(CALLBACK_ENDPOINT_ERROR, error.message, {"reason": error.code}) from error
        except TooManyError as error:
            raise MCPError(RESOURCE_EXHAUSTED, error.message, {"limit": error.code}) from error
    return Subscribed(
        id=granted.id,
        refresh_before=granted.expires_at,
        cursor=str(granted.position),
        truncated=granted.has_gap,
        delivery_status=_status(granted),
    )


async def _unsubscribe(ctx: Context, params: UnsubscribeParams) -> EmptyResult:
    webhooks = _webhooks(ctx)
    with protocol_errors():
        account = await ctx.lifespan_context.calls.account()
        is_ended = await webhooks.unsubscribe(
            account, url=params.delivery.url, name=params.name, call_id=params.arguments.call_id
        )
    if not is_ended:
        raise MCPError(NOT_FOUND, "There is no such subscription.", {"kind": "subscription"})
    return EmptyResult()


def _webhooks(ctx: Context) -> "Webhooks":
    if (webhooks := webhooks_of(ctx)) is None:
        raise MCPError(
            FORBIDDEN,
            "Webhooks need a bearer token at /mcp. Use events/poll or events/stream here.",
        )
    return webhooks


def _status(granted: "GrantedSubscription") -> DeliveryStatus | None:
    if (before := granted.refreshed) is None:
        return None
    return DeliveryStatus(
        lastDeliveryAt=before.last_delivery_at, lastError=before.last_error, failedSince=before.failed_since
    )
