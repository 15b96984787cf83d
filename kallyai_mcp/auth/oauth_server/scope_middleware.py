"""Which tool a request asks for, and whether its token may: else 403 with the scope that the client can ask for.

MCP's authorization specification, "Scope Challenge Handling"; RFC 6750, section 3.1.
"""

import json
from collections.abc import Iterable
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kallyai_mcp.auth.oauth_server import scopes

MAX_BODY = 64 * 1024
"""Bytes of one message; what is longer is refused, since what was not read was not checked."""


class ScopeMiddleware:
    """ASGI middleware behind the door: it needs the user that the door puts in the scope.

    Args:
        app: What it guards.
        issuer: Our own base URL, where the metadata is.
    """

    def __init__(self, app: ASGIApp, issuer: str) -> None:
        self._app = app
        self._issuer = issuer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        user = scope.get("user")
        if scope["type"] != "http" or scope["method"] != "POST" or not isinstance(user, AuthenticatedUser):
            await self._app(scope, receive, send)
            return
        messages, body = await _body(receive)
        if messages and messages[-1]["type"] == "http.disconnect":
            return
        refusal = self._refusal(scope, body, frozenset(user.scopes))
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        messages.reverse()

        async def again() -> Message:
            return messages.pop() if messages else await receive()

        await self._app(scope, again, send)

    def _refusal(self, scope: Scope, body: bytes | None, held: frozenset[str]) -> Response | None:
        if body is None:
            return JSONResponse({"error": f"The body is longer than {MAX_BODY} bytes"}, 413)
        try:
            needed = _needed(json.loads(body, object_pairs_hook=_once)) if body else ()
        except (ValueError, RecursionError):
            error = {"code": -32700, "message": "Parse error"}
            return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, 400)
        if held.issuperset(needed):
            return None
        path = "sse" if scope["path"].startswith("/messages") else "mcp"
        challenge = (
            f'Bearer error="insufficient_scope", scope="{" ".join(needed)}", '
            f'resource_metadata="{self._issuer}/.well-known/oauth-protected-resource/{path}"'
        )
        missing = [name for name in needed if name not in held]
        words = f"The token lacks {' and '.join(missing)}"
        answer = {"error": "insufficient_scope", "error_description": words, "scope": " ".join(needed)}
        return JSONResponse(answer, 403, headers={"WWW-Authenticate": challenge})


async def _body(receive: Receive) -> tuple[list[Message], bytes | None]:
    """The messages of a body, to be handed on, and the body; None when it is too long."""
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


def _needed(message: Any) -> tuple[str, ...]:
    """The scopes that a JSON-RPC message needs, or all messages of a batch together."""
    if isinstance(message, list):
        return scopes.ordered(scope for each in message for scope in _needed(each))
    if not isinstance(message, dict):
        return ()
    method, params = message.get("method"), message.get("params")
    if not isinstance(method, str):
        return ()
    return scopes.ordered(scopes.of_request(method, params if isinstance(params, dict) else {}))


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """An object none of whose names is there twice: of two, another reader might take the other one."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError("a name is there twice")
        found[name] = value
    return found
