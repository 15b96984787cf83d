"""ASGI middleware that enforces the access policy."""

import math
from weakref import WeakValueDictionary

import anyio
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.authentication import AuthCredentials
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kallyai_mcp.transports.access_policy import AccessPolicy
from kallyai_mcp.transports.limits import VERIFY_SECONDS, OpenStreams, VerificationUnavailableError, is_stream
from kallyai_mcp.transports.protected_resource import metadata_url
from kallyai_mcp.urls import network_of

_STATUS_PATHS = frozenset({"/health", "/ready"})
"""The paths for load balancers, which have no bearer token and may send an address as `Host`."""

_CONCURRENT_CHECKS = 4
"""How many unknown tokens of one address are checked at the same time. The limit may be exceeded by this number."""


class AccessMiddleware:
    """Refuses requests that the policy does not allow.

    * 421: the `Host` is another one.
    * 403: the `Origin` is another one.
    * 401: there is no valid bearer token.
    * 503: the token can't be checked now.
    * 429: too many requests or open streams of one caller, or too many invalid tokens from one address.

    It puts the user into the ASGI scope and into the SDK's context, where the SDK's transports read it.
    """

    def __init__(self, app: ASGIApp, policy: AccessPolicy) -> None:
        self._app = AuthContextMiddleware(app)
        self._policy = policy
        self._streams = OpenStreams(policy.verifier)
        self._checks: WeakValueDictionary[str, anyio.CapacityLimiter] = WeakValueDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http" or scope["path"] in _STATUS_PATHS:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._check_host_and_origin(headers)
        if refusal is None and self._is_open(scope):
            await self._app(scope, receive, send)
            return
        bearer = _bearer(headers) if self._policy.verifier is not None else None
        caller = refusal or await self._find_caller(scope, bearer)
        if isinstance(caller, str) and is_stream(scope):
            if (reason := self._streams.refusal(caller)) is None:
                await self._streams.serve(self._app, scope, receive, send, caller=caller, bearer=bearer)
                return
            caller = _retry_later(429, reason, VERIFY_SECONDS)
        await (self._app if isinstance(caller, str) else caller)(scope, receive, send)

    def _check_host_and_origin(self, headers: Headers) -> Response | None:
        if not self._policy.allows_host(headers.get("host", "")):
            return PlainTextResponse("This server is not known by that name", 421)
        if not self._policy.allows_origin(headers.get("origin")):
            return PlainTextResponse("That web page may not use this server", 403)
        return None

    def _is_open(self, scope: Scope) -> bool:
        """Whether clients need this before they have a token."""
        path = scope["path"]
        return scope["method"] == "OPTIONS" or path.startswith("/.well-known/") or path in self._policy.open_paths

    async def _find_caller(self, scope: Scope, bearer: str | None) -> str | Response:
        """Put the user into the scope; returns the caller's name for the limits, or the refusal."""
        caller = network_of(scope["client"][0]) if scope.get("client") else "unknown"
        if self._policy.verifier is not None:
            token = await self._verify(bearer, caller) if bearer is not None else None
            if token is None:
                return self._unauthorized(scope, is_wrong=bearer is not None)
            if isinstance(token, Response):
                return token
            scope["user"], scope["auth"] = AuthenticatedUser(token), AuthCredentials(token.scopes)
            caller = token.subject or token.client_id
        wait = self._policy.rate_limit.acquire(caller) if self._policy.rate_limit is not None else 0
        return _retry_later(429, "Too many requests", wait) if wait > 0 else caller

    async def _verify(self, bearer: str, network: str) -> AccessToken | Response | None:
        """The content of a bearer token that a network has sent; None if it is invalid; or a refusal to check it.

        A check may take a request to KallyAI. A token that was valid before is always checked, so that others at the
        same address can't block its owner.
        """
        verifier, limit = self._policy.verifier, self._policy.wrong_bearer_limit
        assert verifier is not None, "without one, every request is allowed"  # noqa: S101
        try:
            if limit is None or self._policy.is_known(bearer):
                return await verifier(bearer)
            # The dictionary forgets a limiter that no request uses.
            async with self._checks.setdefault(network, anyio.CapacityLimiter(_CONCURRENT_CHECKS)):
                if (wait := limit.peek(network)) > 0:
                    return _retry_later(429, "Too many wrong tokens from this address", wait)
                token = await verifier(bearer)
                if token is None:
                    limit.acquire(network)
                return token
        except VerificationUnavailableError as error:
            return _retry_later(503, "KallyAI can't be asked whether this token is good", error.retry_after)

    def _unauthorized(self, scope: Scope, *, is_wrong: bool) -> Response:
        """The challenge (RFC 6750, section 3) with the URL of the metadata (RFC 9728, section 5.1).

        Without a token, it names no error (RFC 6750, section 3.1).
        """
        text = "This bearer token is not valid" if is_wrong else "A bearer token is needed"
        parts = [f'error="invalid_token", error_description="{text}"'] if is_wrong else []
        if self._policy.issuer is not None:
            parts.append(f'resource_metadata="{metadata_url(scope, self._policy)}"')
        headers = {"WWW-Authenticate": f"Bearer {', '.join(parts)}".strip()}
        body = {"error": "invalid_token" if is_wrong else "unauthorized", "error_description": text}
        return JSONResponse(body, 401, headers=headers)


def _bearer(headers: Headers) -> str | None:
    kind, _, bearer = headers.get("authorization", "").partition(" ")
    return bearer.strip() or None if kind.lower() == "bearer" else None


def _retry_later(status: int, text: str, seconds: float) -> Response:
    return JSONResponse({"error": text}, status, headers={"Retry-After": str(math.ceil(seconds))})
