"""Puts the room together: routes, a verifier of bearers, and the guard of the tools."""

import ipaddress
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp.server.auth.provider import AccessToken
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from kallyai_mcp.auth.oauth_server import scopes
from kallyai_mcp.auth.oauth_server.browser_routes import BrowserRoutes
from kallyai_mcp.auth.oauth_server.clients import Clients, Fetch
from kallyai_mcp.auth.oauth_server.endpoints import RESOURCE_METADATA, Endpoints
from kallyai_mcp.auth.oauth_server.flows import Flows
from kallyai_mcp.auth.oauth_server.grants import Grants, Upstream
from kallyai_mcp.auth.oauth_server.pages import Pages
from kallyai_mcp.auth.oauth_server.revocation import MemoryRevocation, RedisRevocation, RevocationStore
from kallyai_mcp.auth.oauth_server.scope_middleware import ScopeMiddleware
from kallyai_mcp.auth.oauth_server.sealed_tokens import SealedTokens
from kallyai_mcp.common_types import RateLimit
from kallyai_mcp.urls import check_base_url, origin_of

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

CALLBACK_PATH = "/oauth/callback"
"""Where KallyAI sends browsers back to: `KALLYAI_PUBLIC_URL` with this is what is registered there."""

ENTRANCES = ("mcp", "sse")
"""The paths that tokens are for."""

_Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class OAuthServer:
    """A sign-in for any MCP client.

    Attributes:
        issuer: Our own base URL: the authorization server that the door's 401 leads to.
        scopes: What a client should ask for when it needs nothing in particular.
        routes: The endpoints and metadata; they need no bearer.
        open_paths: The paths of the endpoints among them.
        middleware: The guard that asks for a tool's scopes; it belongs behind the door.
        verifier: Says whose a bearer is; raises `KallyAIError` when that can't be told.
        known: Whether a bearer was sealed here, however long ago, told without asking anybody.
        close: Lets go of Redis.
    """

    issuer: str
    scopes: tuple[str, ...]
    routes: Sequence[BaseRoute]
    open_paths: frozenset[str]
    middleware: Middleware
    verifier: Callable[[str], Awaitable[AccessToken | None]]
    known: Callable[[str], bool]
    close: Callable[[], Awaitable[None]]


def check_public_url(url: str) -> str:
    """Checks that a client can find us at `url`.

    Returns:
        The issuer (RFC 8414, section 2): scheme, host and port in lower case, and nothing after them.

    Raises:
        ValueError: It is neither https nor http on a loopback address, or has more than a host; one line says so.
    """
    issuer = check_base_url(url, "https://phone.example.com")
    if issuer != origin_of(issuer):
        raise ValueError("it must be https and a host, without a path, such as https://phone.example.com")
    return issuer


def build(
    *,
    public_url: str,
    secret_keys: Sequence[bytes],
    api: "Callable[[], KallyAI]",
    api_host: str,
    client_id: str,
    client_secret: str,
    fetch: Fetch,
    redis_url: str | None = None,
    rate: RateLimit | None = None,
    clock: Callable[[], float] = time.time,
) -> OAuthServer:
    """Build the sign-in.

    Args:
        public_url: Where clients find us.
        secret_keys: Keys of at least 32 bytes: the first seals, all open.
        api: The API client.
        api_host: KallyAI's host, as people know it.
        client_id: Our OAuth client at KallyAI.
        client_secret: Its secret.
        fetch: Fetches a client's metadata document from the open internet, and from nowhere else.
        redis_url: The Redis that several workers share; None for one worker.
        rate: How often one address may use one endpoint; None for no limit.
        clock: Seconds since the epoch.

    Raises:
        ValueError: `public_url` or a key can't be used; one line says so.
    """
    issuer = check_public_url(public_url)
    ours = frozenset({issuer, *(f"{issuer}/{entrance}" for entrance in ENTRANCES)})

    def is_ours(resource: str) -> bool:
        scheme, separator, rest = resource.rstrip("/").partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}" in ours

    seals = SealedTokens(secret_keys, clock)
    marks: RevocationStore = MemoryRevocation(clock) if redis_url is None else RedisRevocation(redis_url)
    upstream = Upstream(api, client_id, client_secret, issuer + CALLBACK_PATH)
    clients = Clients(seals, fetch, urlsplit(issuer).netloc)
    grants = Grants(seals, marks, upstream, issuer, is_ours, clock)
    pages = Pages(urlsplit(issuer).netloc, api_host)
    flows = Flows(seals, secure=issuer.startswith("https:"))
    web = BrowserRoutes(issuer, clients, flows, grants, pages, upstream, is_ours, clock)
    endpoints = Endpoints(issuer, clients, grants, clock)

    def limited(name: str, endpoint: _Endpoint, *, page: bool) -> _Endpoint:
        async def within(request: Request) -> Response:
            wait = await rate.wait(f"oauth-{name} {_network(request)}") if rate is not None else 0
            if wait <= 0:
                return await endpoint(request)
            headers = {"Retry-After": str(math.ceil(wait))}
            if page:
                return pages.trouble(request, "busy", status=429, headers=headers)
            body = {"error": "temporarily_unavailable", "error_description": "Too many requests."}
            return JSONResponse(body, 429, headers=headers)

        return within

    ways: list[tuple[str, str, _Endpoint, bool]] = [
        ("authorize", "GET", web.authorize, True),
        ("consent", "POST", web.consent, True),
        ("callback", "GET", web.callback, True),
        ("sign-out", "GET", web.sign_out_page, True),
        ("sign-out", "POST", web.sign_out, True),
        ("token", "POST", endpoints.token, False),
        ("register", "POST", endpoints.register, False),
        ("revoke", "POST", endpoints.revoke, False),
    ]
    routes: list[BaseRoute] = [
        Route(f"/oauth/{name}", limited(name, endpoint, page=page), methods=[method])
        for name, method, endpoint, page in ways
    ]
    routes += [
        Route("/.well-known/oauth-authorization-server", endpoints.server_metadata),
        Route(RESOURCE_METADATA, endpoints.resource_metadata),
        *(Route(f"{RESOURCE_METADATA}/{entrance}", endpoints.resource_metadata) for entrance in ENTRANCES),
    ]
    return OAuthServer(
        issuer=issuer,
        scopes=scopes.NEEDED,
        routes=routes,
        open_paths=frozenset(f"/oauth/{name}" for name, *_ in ways),
        middleware=Middleware(ScopeMiddleware, issuer=issuer),
        verifier=grants.verify,
        known=lambda bearer: seals.open("access", bearer, even_expired=True) is not None,
        close=marks.aclose,
    )


def _network(request: Request) -> str:
    """The caller's address; of an IPv6 one the network, since whoever has one address there has them all."""
    host = request.client.host if request.client is not None else "nobody"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return host if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))
