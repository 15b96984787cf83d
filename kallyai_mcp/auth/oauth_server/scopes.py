"""The reference's "Scopes", the scopes that requests to the MCP server need, and the middleware
that demands them.
"""

import json
from collections.abc import Collection, Mapping
from urllib.parse import unquote

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kallyai_mcp.api.values import object_in
from kallyai_mcp.auth.pages import texts

SCOPES = frozenset(texts("kallyai_mcp.auth.oauth_server", "scopes", "en"))
"""All of the reference's. Each has a text, because the consent page shows all that an app gets."""

BILLING_LINK = ("billing:manage",)
"""The scopes that `check_quota` needs, too, when it is asked for the link to the billing portal."""


class ScopeMiddleware:
    """ASGI middleware that answers 403 to a request whose token lacks a scope, with the scopes to
    ask for.

    MCP's authorization specification, "Scope Challenge Handling"; RFC 6750, section 3.1. It must be
    inside of the access middleware, which puts the user into the ASGI scope, and of the SDK's
    `RequestBodyLimitMiddleware`, which joins a body. One that is no JSON object gets 400. Of two
    equal names in it, the last counts, as for the SDK. `tool_scopes` has those that each tool
    needs, by its name.
    """

    def __init__(
        self, app: ASGIApp, issuer: str, tool_scopes: Mapping[str, Collection[str]]
    ) -> None:
        self._app = app
        self._issuer = issuer
        self._tool_scopes = tool_scopes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if not isinstance(scope.get("user"), AuthenticatedUser) or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        first = await receive()
        messages = [first]

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        await (self._refusal(scope, first.get("body", b"")) or self._app)(scope, replay, send)

    def _refusal(self, scope: Scope, body: bytes) -> Response | None:
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            return PlainTextResponse("The body is no JSON object", 400)
        needed = scopes_needed(message, self._tool_scopes)
        missing = sorted(set(needed).difference(scope["user"].scopes))
        if not missing:
            return None
        path = "sse" if scope["path"].startswith("/messages") else "mcp"
        answer = {
            "error": "insufficient_scope",
            "error_description": f"The token lacks {' and '.join(missing)}",
            "scope": " ".join(sorted(needed)),
        }
        at = {"resource_metadata": f"{self._issuer}/.well-known/oauth-protected-resource/{path}"}
        challenge = ", ".join(f'{name}="{value}"' for name, value in (answer | at).items())
        return JSONResponse(answer, 403, headers={"WWW-Authenticate": f"Bearer {challenge}"})


def scopes_needed(
    message: Mapping[str, object], tool_scopes: Mapping[str, Collection[str]]
) -> Collection[str]:
    """The scopes that a JSON-RPC message needs, whose parts are unchecked.

    A name that is not in `tool_scopes` is no tool, so the MCP server refuses it.
    """
    method = str(message.get("method"))
    params = object_in(message.get("params"))
    if method == "tools/call":
        wants_link = object_in(params.get("arguments")).get("billing_link")
        more = BILLING_LINK if wants_link else ()
        return {*tool_scopes.get(str(params.get("name")), ()), *more}
    if method == "resources/read":
        return _needed_for_resource(str(params.get("uri")))
    if method == "tasks/cancel":  # MCP's tasks are calls and call lists
        return ("calls:read", "calls:write")
    return ("calls:read",) if method.startswith(("tasks/", "subscriptions/")) else ()


def _needed_for_resource(uri: str) -> Collection[str]:
    """The scopes for a URI.

    What a parser could take for a transcript's counts as one, and any unknown one as a call's.
    """
    plain = unquote(uri).casefold()
    # Cards and skills, which have no data of an account.
    if plain.startswith(("ui://", "skill://")):
        return ()
    return ("transcripts:read",) if "transcript" in plain else ("calls:read",)
