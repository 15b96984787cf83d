"""Who may come in over HTTP: by the name they call us, the page they come from, the bearer they carry."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.authentication import AuthCredentials
from starlette.datastructures import URL, Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kallyai_mcp.common_types import RateLimit
from kallyai_mcp.transports.bearer_throttle import (
    BearerThrottle,
    TooManyAttemptsError,
    VerificationUnavailableError,
    Verifier,
)

METADATA_PATH = "/.well-known/oauth-protected-resource"
"""Where RFC 9728 (section 3.1) puts the metadata; the path of an entrance follows."""

OPEN_PATHS = frozenset({"/health", "/ready"})
"""Asked by load balancers, which know no bearer and call us by an address."""


@dataclass(frozen=True)
class AccessPolicy:
    """The rules of coming in.

    Attributes:
        hosts: Names that we may be called by in `Host`, with `:*` for any port; None for any name.
        origins: Web pages that may come, as `Origin` has them; none but these, and whoever sends no `Origin`.
        verifier: Checks bearers; None where none is needed.
        known: Whether a bearer was good before, told without asking anybody: it is checked whatever else comes from its
            address.
        wrong: How many bearers that are not good may come from one address; None for any number.
        issuer: The URL of who gives the tokens, for the protected-resource metadata (RFC 9728) that a client without a
            good bearer is sent to; None where nobody gives any.
        public_url: Where clients find us; None for wherever a request has found us.
        rate: How often one caller may come; None for no limit.
        open_paths: Where no bearer is needed, besides those that load balancers ask.
    """

    hosts: Sequence[str] | None
    origins: Sequence[str] = ()
    verifier: Verifier | None = None
    known: Callable[[str], bool] = lambda _: False
    wrong: RateLimit | None = None
    issuer: str | None = None
    public_url: str | None = None
    rate: RateLimit | None = None
    open_paths: frozenset[str] = frozenset()


class AccessMiddleware:
    """ASGI middleware that lets in whom the `AccessPolicy`'s rules let in.

    421 for another host, 403 for another origin, 401 without a good bearer, 503 when that can't be told, 429 for
    whoever comes too often, or from where too many wrong bearers came. The address is the connection's, or what a proxy
    says that the web server trusts (uvicorn's `--forwarded-allow-ips`); behind any other proxy all have the proxy's.
    Behind it the request's user is in the scope and in the SDK's context, as its transports expect.
    """

    def __init__(self, app: ASGIApp, door: AccessPolicy) -> None:
        self._app = AuthContextMiddleware(app)
        self._door = door
        self._strangers: BearerThrottle | None = None
        if door.verifier is not None and door.wrong is not None:
            self._strangers = BearerThrottle(door.verifier, door.known, door.wrong)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            refusal = self._wrong_address(Headers(scope=scope)) or await self._unwelcome(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _wrong_address(self, headers: Headers) -> Response | None:
        hosts = self._door.hosts
        if hosts is not None and not _matches(headers.get("host", ""), hosts):
            return PlainTextResponse("This server is not known by that name", 421)
        origin = headers.get("origin")
        if origin is not None and not _matches(origin, self._door.origins):
            return PlainTextResponse("That web page may not use this server", 403)
        return None

    async def _unwelcome(self, scope: Scope) -> Response | None:
        if (
            scope["method"] == "OPTIONS"
            or scope["path"].startswith("/.well-known/")
            or scope["path"] in self._door.open_paths
        ):
            return None  # asked before anybody has a bearer
        caller = scope["client"][0] if scope.get("client") else "nobody"
        if self._door.verifier is not None:
            try:
                token = await self._verified(scope, caller)
            except TooManyAttemptsError as error:
                return _later(429, "Too many wrong tokens from this address", error.retry_after)
            except VerificationUnavailableError as error:
                return _later(503, "KallyAI can't be asked whether this token is good", error.retry_after)
            if token is None:
                return self._unauthorized(scope)
            scope["user"], scope["auth"] = AuthenticatedUser(token), AuthCredentials(token.scopes)
            caller = token.subject or token.client_id
        wait = await self._door.rate.wait(caller) if self._door.rate is not None else 0
        return _later(429, "Too many requests", wait) if wait > 0 else None

    async def _verified(self, scope: Scope, address: str) -> AccessToken | None:
        kind, _, bearer = Headers(scope=scope).get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not bearer.strip() or self._door.verifier is None:
            return None
        if self._strangers is None:
            return await self._door.verifier(bearer.strip())
        return await self._strangers.check(bearer.strip(), address)

    def _unauthorized(self, scope: Scope) -> Response:
        words = "A bearer token is needed"
        challenge = f'Bearer error="invalid_token", error_description="{words}"'
        if self._door.issuer is not None:
            challenge += f', resource_metadata="{_base_url(scope, self._door)}{METADATA_PATH}{_entrance(scope)}"'
        body = {"error": "invalid_token", "error_description": words}
        return JSONResponse(body, 401, headers={"WWW-Authenticate": challenge})


async def metadata(request: Request, door: AccessPolicy) -> Response:
    """The protected-resource metadata (RFC 9728, section 3.2)."""
    document = {
        "resource": _base_url(request.scope, door) + request.url.path.removeprefix(METADATA_PATH),
        "authorization_servers": [door.issuer],
        "bearer_methods_supported": ["header"],
    }
    return JSONResponse(document, headers={"Cache-Control": "max-age=3600", "Vary": "Host"})


def _entrance(scope: Scope) -> str:
    """The resource that a request is for (RFC 9728): messages of `/sse` have a path of their own."""
    return "/sse" if scope["path"].startswith(("/sse", "/messages")) else "/mcp"


def _base_url(scope: Scope, door: AccessPolicy) -> str:
    return door.public_url or str(URL(scope=scope).replace(path="", query="", fragment="")).rstrip("/")


def _later(status: int, words: str, seconds: float) -> Response:
    return JSONResponse({"error": words}, status, headers={"Retry-After": str(math.ceil(seconds))})


def _matches(given: str, allowed: Sequence[str]) -> bool:
    """Whether `given` is one of `allowed`, in whatever case; `name:*` allows any port, and none."""
    given = given.lower()
    bare = re.sub(r":[0-9]{1,5}$", "", given)
    return any(given == name or (name.endswith(":*") and bare == name[:-2]) for name in map(str.lower, allowed))
