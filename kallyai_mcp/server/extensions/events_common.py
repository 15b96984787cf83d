"""What `events` and `event_webhooks` share: the event types, the parameters, and checks."""

from datetime import datetime, timedelta
from typing import Any, Final

from mcp import MCPError
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.context import ServerRequestContext
from mcp.types import INVALID_PARAMS, RequestParams
from pydantic import BaseModel, Field

from kallyai_mcp.api.call_ids import CALL_ID
from kallyai_mcp.calls.events import ENDED, NEEDS_DECISION, NOT_FOUND, Event
from kallyai_mcp.common_types import SIGN_IN_CLAIM
from kallyai_mcp.tools.context import AppContext

_NULLABLE_TEXT: Final = {"type": ["string", "null"]}
_CALL_ENDED: Final[dict[str, Any]] = {
    "name": ENDED,
    "description": "A phone call has ended, or it is certain that it will not be placed. get_call has what was said.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "call_id": {"type": "string", "description": "call_id or tracking_id of the one call or list to hear of"}
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
                "required": ["business_name", "respondent_phone"],
            },
        },
        "required": ["tracking_id", "call_id", "status", "outcome", "code", "callee"],
    },
}
_CALL: Final[dict[str, Any]] = _CALL_ENDED["payloadSchema"]
_NEEDS_DECISION: Final[dict[str, Any]] = {
    "name": NEEDS_DECISION,
    "description": (
        "call_around has stopped, because something may have been agreed in its last call. get_call and get_transcript "
        "have what was said; call_around goes on with continue_after."
    ),
    "inputSchema": _CALL_ENDED["inputSchema"],
    "payloadSchema": {
        **_CALL,
        "properties": {"list_id": {"type": "string"}, **_CALL["properties"]},
        "required": ["list_id", *_CALL["required"]],
    },
}
TYPES: Final = {each["name"]: each for each in (_CALL_ENDED, _NEEDS_DECISION)}
"""The event types by name, without their delivery modes."""

Context = ServerRequestContext[AppContext, Any]


class EventArguments(BaseModel, defer_build=True, extra="forbid"):
    """The arguments of a subscription."""

    call_id: str | None = Field(None, pattern=f"^{CALL_ID}$")  # bounded, because the ledger keeps it


class SubscriptionParams(RequestParams, defer_build=True):
    """The parameters that events/poll, events/stream, and events/subscribe share: which events a client wants."""

    name: str
    arguments: EventArguments = EventArguments.model_construct(call_id=None)
    cursor: str | None = None
    max_age_ms: int | None = Field(None, ge=0)

    @property
    def position(self) -> int | None:
        """The position of the cursor; None without a cursor.

        Raises:
            MCPError: The cursor is not one of this server (-32602).
        """
        if self.cursor is None:
            return None
        if not (self.cursor.isascii() and self.cursor.isdecimal() and len(self.cursor) <= 18):
            raise MCPError(
                INVALID_PARAMS,
                "That cursor is not one of this server's; leave it out to start from now.",
            )
        return int(self.cursor)

    def wants(self, event: Event) -> bool:
        """Whether the client wants this event."""
        return event.is_wanted(self.name, self.arguments.call_id)


def check_type(name: str) -> None:
    """Check that there is an event type with this name.

    Raises:
        MCPError: There is none (-32023).
    """
    if name not in TYPES:
        known = ", ".join(TYPES)
        raise MCPError(NOT_FOUND, f"There is no such event; there is {known}.", {"kind": "event"})


def token_of(ctx: Context) -> AccessToken | None:
    """The bearer token of a request; None without one, as over stdio."""
    user = ctx.request.scope.get("user") if ctx.request is not None else None
    return user.access_token if isinstance(user, AuthenticatedUser) else None


def sign_in_of(token: AccessToken | None) -> str | None:
    """The id of the sign-in of a bearer token; None when it is not known."""
    return (token.claims or {}).get(SIGN_IN_CLAIM) if token is not None else None


def since(ctx: Context, params: SubscriptionParams) -> datetime | None:
    """The time before which a client wants no events (aware); None if it has set no `max_age_ms`."""
    if params.max_age_ms is None:
        return None
    return ctx.lifespan_context.now() - timedelta(milliseconds=min(params.max_age_ms, 10**12))
