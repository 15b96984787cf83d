"""Refuses a request whose token lacks a scope: answers 403 with the scopes that the client can ask for.

MCP's authorization specification, "Scope Challenge Handling"; RFC 6750, section 3.1.
"""

import json
from collections.abc import Iterable
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kallyai_mcp.auth.oauth_server.scopes import ToolScopes, in_order, needed_by_request

MAX_BODY = 64 * 1024
"""The most bytes of a request's body. A longer one is refused, because its scopes are not checked to the end."""


class ScopeMiddleware:
    """ASGI middleware that must be inside of the access middleware, which puts the user into the ASGI scope.

    The SDK's `RequireAuthMiddleware` requires the same scopes for every request. Here they depend on the tool.

    Args:
        app: The next app.
        issuer: Our own base URL.
        tool_scopes: The scopes that each tool needs.
    """

    def __init__(self, app: ASGIApp, issuer: str, tool_scopes: ToolScopes) -> None:
        self._app = app
        self._issuer = issuer
        self._tool_scopes = tool_scopes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it with 403, 413 (too long), or 400 (not JSON)."""
        user = scope.get("user")
        if scope["type"] != "http" or scope["method"] != "POST" or not isinstance(user, AuthenticatedUser):
            await self._app(scope, receive, send)
            return
        messages, body = await _read_body(receive)
        if messages and messages[-1]["type"] == "http.disconnect":
            return
        refusal = self._refusal(scope, body, frozenset(user.scopes))
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        messages.reverse()

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        await self._app(scope, replay, send)

    def _refusal(self, scope: Scope, body: bytes | None, granted: frozenset[str]) -> Response | None:
        if body is None:
            return JSONResponse({"error": f"The body is longer than {MAX_BODY} bytes"}, 413)
        try:
            needed = self._needed(json.loads(body, object_pairs_hook=_unique_names)) if body else ()
        except (ValueError, RecursionError):
            error = {"code": -32700, "message": "Parse error"}
            return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, 400)
        if granted.issuperset(needed):
            return None
        path = "sse" if scope["path"].startswith("/messages") else "mcp"
        missing = [name for name in needed if name not in granted]
        description = f"The token lacks {' and '.join(missing)}"
        challenge = (
            f'Bearer error="insufficient_scope", error_description="{description}", scope="{" ".join(needed)}", '
            f'resource_metadata="{self._issuer}/.well-known/oauth-protected-resource/{path}"'
        )
        answer = {"error": "insufficient_scope", "error_description": description, "scope": " ".join(needed)}
        return JSONResponse(answer, 403, headers={"WWW-Authenticate": challenge})

    def _needed(self, message: Any) -> tuple[str, ...]:
        """The scopes that a JSON-RPC message needs, or that all messages of a batch need together."""
        if isinstance(message, list):
            return in_order(scope for each in message for scope in self._needed(each))
        if not isinstance(message, dict):
            return ()
        method, params = message.get("method"), message.get("params")
        if not isinstance(method, str):
            return ()
        return needed_by_request(method, params if isinstance(params, dict) else {}, self._tool_scopes)


async def _read_body(receive: Receive) -> tuple[list[Message], bytes | None]:
    """The ASGI messages of a body, which are to be replayed, and the body; None when it is too long."""
    messages: list[Message] = []
    body = bytearray()
    while True:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return messages, None
        if not message.get("more_body", False):
            return messages, bytes(body)


def _unique_names(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose names are all different. With two equal names, another parser could use the other value."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError("a name is there twice")
        found[name] = value
    return found
