"""Requests with MCP messages, as the SDK's transports read them.

| what a client sends | what the SDK does | what it gets here | |---|---|---| | `/mcp/` | Starlette
redirects to `/mcp`, by http behind a proxy | what it gets at `/mcp` | | `Content-Type:
Application/JSON` | 415 | as in lower case (RFC 9110, section 8.3.1) | | an id that is `NaN` or
another odd value | 202, and no answer ever | 400 (JSON-RPC 2.0, section 4) |
"""

import json
from collections.abc import Sequence

from mcp.types import INVALID_REQUEST
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MEDIA_TYPES = frozenset({b"accept", b"content-type"})
_NO_ID = JSONResponse(
    {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": INVALID_REQUEST, "message": "The id must be a string or an integer"},
    },
    400,
)


class MessageMiddleware:
    """ASGI middleware that gives the SDK's transports what they read rightly.

    It must be inside of the SDK's `RequestBodyLimitMiddleware`, which joins a body.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] == "http" and scope["path"] == "/mcp/":
            scope = {**scope, "path": "/mcp"}
        if not _has_message(scope):
            await self._app(scope, receive, send)
            return
        first = await receive()
        if _has_odd_id(first.get("body", b"")):
            await _NO_ID(scope, receive, send)
            return
        messages = [first]

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        headers = _in_lower_case(scope["headers"])
        await self._app({**scope, "headers": headers}, replay, send)


def _has_message(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    return bool(scope["path"] == "/mcp")


def _in_lower_case(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers with media types in lower case."""
    return [(name, value.lower() if name in _MEDIA_TYPES else value) for name, value in headers]


def _has_odd_id(body: bytes) -> bool:
    """Whether a message has an id that no request can have.

    Without an id, or with null, it is a notification. What is no JSON object is left to the SDK.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return False
    if not isinstance(message, dict):
        return False
    return type(message.get("id")) not in (int, str, type(None))
