"""Who may use the HTTP server: the policy, the ASGI middleware that enforces it, and its metadata for clients."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

import anyio
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.authentication import AuthCredentials
from starlette.datastructures import URL, Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from kallyai_mcp.transports.limits import (
    VERIFY_SECONDS,
    OpenStreams,
    RateLimiter,
    VerificationUnavailableError,
    Verifier,
    is_stream,
)
from kallyai_mcp.urls import network_of

_STATUS_PATHS = frozenset({"/health", "/ready"})
"""The paths for load balancers, which have no bearer token and may send an address as `Host`."""

_CONCURRENT_CHECKS = 4
"""How many unknown tokens of one address are checked at the same time. The limit may be exceeded by this number."""

_METADATA = "/.well-known/oauth-protected-resource"
"""The beginning of the path of the metadata. The rest is the path of the resource (section 3.1)."""


@dataclass(frozen=True)
class AccessPolicy:
    """Who may use the HTTP server: by the headers `Host` and `Origin`, and by the bearer token of a request.

    Attributes:
        hosts: Allowed values of `Host`. `name:*` allows any port or none. None allows all values.
        origins: Allowed values of `Origin`, in the same form. Requests without `Origin` are always allowed.
        verifier: Checks bearer tokens; None if no token is needed.
        is_known: Returns whether this process has accepted a bearer token before. Such a token is checked even if its
            address has sent too many invalid ones.
        wrong_bearer_limit: How many invalid bearer tokens each address may send; None for no limit.
        issuer: The URL of the authorization server, for the protected resource metadata (RFC 9728); None without one.
        scopes: All scopes that the tools need, for the same metadata; empty without any.
        public_url: The server's base URL for clients; None for the one that the request was sent to.
        rate_limit: How many requests each account may send (each address, if no token is needed); None for no limit.
        open_paths: Paths that need no bearer token.
        trusted_proxies: Addresses and networks of proxies whose `X-Forwarded-For` header is used.
    """

    hosts: Sequence[str] | None
    origins: Sequence[str] = ()
    verifier: Verifier | None = None
    is_known: Callable[[str], bool] = lambda _: False
    wrong_bearer_limit: RateLimiter | None = None
    issuer: str | None = None
    scopes: tuple[str, ...] = ()
    public_url: str | None = None
    rate_limit: RateLimiter | None = None
    open_paths: frozenset[str] = frozenset()
    trusted_proxies: Sequence[str] = ()

    def allows_host(self, host: str) -> bool:
        """Whether a request with this `Host` header is for this server."""
        return self.hosts is None or _matches(host, self.hosts)

    def allows_origin(self, origin: str | None) -> bool:
        """Whether a page with this `Origin` may use the server. A request without it (None) always may."""
        return origin is None or _matches(origin, self.origins)


def _matches(value: str, allowed: Sequence[str]) -> bool:
    value = value.lower()
    without_port = re.sub(r":[0-9]{1,5}$", "", value)
    return any(value == name or (name.endswith(":*") and without_port == name[:-2]) for name in map(str.lower, allowed))


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
            parts.append(f'resource_metadata="{_metadata_url(scope, self._policy)}"')
        headers = {"WWW-Authenticate": f"Bearer {', '.join(parts)}".strip()}
        body = {"error": "invalid_token" if is_wrong else "unauthorized", "error_description": text}
        return JSONResponse(body, 401, headers=headers)


def _bearer(headers: Headers) -> str | None:
    kind, _, bearer = headers.get("authorization", "").partition(" ")
    return bearer.strip() or None if kind.lower() == "bearer" else None


def _retry_later(status: int, text: str, seconds: float) -> Response:
    return JSONResponse({"error": text}, status, headers={"Retry-After": str(math.ceil(seconds))})


def _metadata_url(scope: Scope, policy: AccessPolicy) -> str:
    """The URL of the metadata of the resource that a request was sent to. `/messages` belongs to `/sse`."""
    resource = "/sse" if scope["path"].startswith(("/sse", "/messages")) else "/mcp"
    return f"{_base_url(scope, policy)}{_METADATA}{resource}"


def metadata_routes(policy: AccessPolicy) -> Sequence[Route]:
    """The metadata documents of the base URL and of both MCP endpoints (section 3.2)."""
    scopes = {"scopes_supported": list(policy.scopes)} if policy.scopes else {}

    async def metadata(request: Request) -> Response:
        document = {
            "resource": _base_url(request.scope, policy) + request.url.path.removeprefix(_METADATA),
            "authorization_servers": [policy.issuer],
            "bearer_methods_supported": ["header"],
            "resource_name": "KallyAI phone",
            **scopes,
        }
        headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=3600", "Vary": "Host"}
        return JSONResponse(document, headers=headers)

    return [Route(f"{_METADATA}{resource}", metadata) for resource in ("", "/mcp", "/sse")]


def _base_url(scope: Scope, policy: AccessPolicy) -> str:
    """The server's base URL for the client of a request."""
    return policy.public_url or str(URL(scope=scope).replace(path="", query="", fragment="")).rstrip("/")
