"""ASGI middleware that enforces the access policy."""

import math

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.authentication import AuthCredentials
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kallyai_mcp.transports.access_policy import AccessPolicy
from kallyai_mcp.transports.bearer_throttle import (
    BearerThrottle,
    TooManyAttemptsError,
    VerificationUnavailableError,
)
from kallyai_mcp.transports.protected_resource import metadata_url

_STATUS_PATHS = frozenset({"/health", "/ready"})
"""Load balancers ask for these; they have no bearer token, and may use an address as `Host`."""


class AccessMiddleware:
    """Refuses requests that the policy does not allow.

    421 for another host, 403 for another origin, 401 without a valid bearer token, 503 if the token can't be checked
    now, 429 after too many requests, or too many invalid tokens from one address. The address is the connection's, or
    the one that a proxy names that uvicorn trusts (`--forwarded-allow-ips`); behind any other proxy all clients have
    the proxy's address.

    The app finds the user in the scope and in the SDK's context, as the SDK's transports expect.
    """

    def __init__(self, app: ASGIApp, policy: AccessPolicy) -> None:
        self._app = AuthContextMiddleware(app)
        self._policy = policy
        self._throttle: BearerThrottle | None = None
        if policy.verifier is not None and policy.wrong_bearer_limit is not None:
            self._throttle = BearerThrottle(policy.verifier, policy.is_known, policy.wrong_bearer_limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and scope["path"] not in _STATUS_PATHS:
            refusal = self._check_host_and_origin(Headers(scope=scope)) or await self._check_caller(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check_host_and_origin(self, headers: Headers) -> Response | None:
        if not self._policy.allows_host(headers.get("host", "")):
            return PlainTextResponse("This server is not known by that name", 421)
        if not self._policy.allows_origin(headers.get("origin")):
            return PlainTextResponse("That web page may not use this server", 403)
        return None

    async def _check_caller(self, scope: Scope) -> Response | None:
        """Put the user into the scope; returns the refusal, if there is one."""
        path = scope["path"]
        if scope["method"] == "OPTIONS" or path.startswith("/.well-known/") or path in self._policy.open_paths:
            return None  # clients ask for these before they have a token
        caller = scope["client"][0] if scope.get("client") else "unknown"
        if self._policy.verifier is not None:
            try:
                token = await self._verify(scope, caller)
            except TooManyAttemptsError as error:
                return _retry_later(429, "Too many wrong tokens from this address", error.retry_after)
            except VerificationUnavailableError as error:
                return _retry_later(503, "KallyAI can't be asked whether this token is good", error.retry_after)
            if token is None:
                return self._unauthorized(scope)
            scope["user"], scope["auth"] = AuthenticatedUser(token), AuthCredentials(token.scopes)
            caller = token.subject or token.client_id
        wait = self._policy.rate_limit.acquire(caller) if self._policy.rate_limit is not None else 0
        return _retry_later(429, "Too many requests", wait) if wait > 0 else None

    async def _verify(self, scope: Scope, address: str) -> AccessToken | None:
        kind, _, bearer = Headers(scope=scope).get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not bearer.strip() or self._policy.verifier is None:
            return None
        if self._throttle is None:
            return await self._policy.verifier(bearer.strip())
        return await self._throttle.check(bearer.strip(), address)

    def _unauthorized(self, scope: Scope) -> Response:
        """The challenge of RFC 6750, with the metadata's URL (RFC 9728, section 5.1)."""
        text = "A bearer token is needed"
        challenge = f'Bearer error="invalid_token", error_description="{text}"'
        if self._policy.issuer is not None:
            challenge += f', resource_metadata="{metadata_url(scope, self._policy)}"'
        body = {"error": "invalid_token", "error_description": text}
        return JSONResponse(body, 401, headers={"WWW-Authenticate": challenge})


def _retry_later(status: int, text: str, seconds: float) -> Response:
    return JSONResponse({"error": text}, status, headers={"Retry-After": str(math.ceil(seconds))})
