"""Makes the OAuth server: its routes, its bearer verifier, and its scope middleware."""

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp.server.auth.provider import AccessToken
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from kallyai_mcp.auth.oauth_server.browser_routes import BrowserRoutes
from kallyai_mcp.auth.oauth_server.client_registry import ClientRegistry, Fetch
from kallyai_mcp.auth.oauth_server.endpoints import Endpoints
from kallyai_mcp.auth.oauth_server.flow_cookies import FlowCookies
from kallyai_mcp.auth.oauth_server.pages import Pages
from kallyai_mcp.auth.oauth_server.scope_middleware import ScopeMiddleware
from kallyai_mcp.auth.oauth_server.scopes import ToolScopes, needed_by_tools
from kallyai_mcp.auth.oauth_server.sealed_tokens import SealedTokens
from kallyai_mcp.auth.oauth_server.shared_state import SharedState
from kallyai_mcp.auth.oauth_server.token_issuer import TokenIssuer
from kallyai_mcp.auth.oauth_server.upstream import Upstream
from kallyai_mcp.common_types import RateLimit
from kallyai_mcp.urls import check_base_url, network_of, origin_of

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

CALLBACK_PATH = "/oauth/callback"
"""The path where KallyAI sends browsers back. `KALLYAI_PUBLIC_URL` with this path is registered at KallyAI."""

MCP_PATHS = ("mcp", "sse")
"""The paths of the MCP server. Each is a resource (RFC 8707) for tokens."""

_Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class OAuthServer:
    """The parts of the OAuth server that the HTTP server needs.

    Attributes:
        issuer: Our own base URL, for the protected-resource metadata (RFC 9728).
        scopes: All scopes that the tools need, for the same metadata.
        routes: The endpoints and the metadata, which need no bearer token.
        open_paths: The paths of the endpoints.
        middleware: Checks the scopes of a request. It must be inside of the access middleware.
        verifier: Verifies a bearer token; raises `KallyAIError` when that is not possible now.
        is_known: Returns whether a bearer token was issued here, even if it has expired or was revoked. It asks no
            other server.
    """

    issuer: str
    scopes: tuple[str, ...]
    routes: Sequence[BaseRoute]
    open_paths: frozenset[str]
    middleware: Middleware
    verifier: Callable[[str], Awaitable[AccessToken | None]]
    is_known: Callable[[str], bool]


def check_public_url(url: str) -> str:
    """Check a public URL; returns it as an issuer (RFC 8414, section 2): scheme, host, and port in lower case.

    Raises:
        ValueError: It is neither https nor http on a loopback address, or it has a path. The message is one line.
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
    tool_scopes: ToolScopes,
    shared_state: SharedState,
    rate: RateLimit | None = None,
    clock: Callable[[], float] = time.time,
) -> OAuthServer:
    """Make the OAuth server.

    Args:
        public_url: The URL of the HTTP server for clients.
        secret_keys: The keys that seal tokens (`Settings.secret_keys`).
        api: Returns the API client.
        api_host: KallyAI's host, for the pages.
        client_id: The id of our OAuth client at KallyAI.
        client_secret: The secret of this client.
        fetch: Fetches metadata documents.
        tool_scopes: The scopes that each tool needs.
        shared_state: The state that all workers share.
        rate: How often one address may use one endpoint; None for no limit.
        clock: Returns seconds since the epoch.

    Raises:
        ValueError: `public_url` can't be used. The message is one line.
    """
    issuer = check_public_url(public_url)
    ours = frozenset({issuer, *(f"{issuer}/{path}" for path in MCP_PATHS)})

    def is_ours(resource: str) -> bool:
        scheme, separator, rest = resource.rstrip("/").partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}" in ours

    sealed_tokens = SealedTokens(secret_keys, clock)
    upstream = Upstream(api, client_id, client_secret, issuer + CALLBACK_PATH)
    clients = ClientRegistry(sealed_tokens, fetch, issuer)
    tokens = TokenIssuer(sealed_tokens, shared_state, upstream, issuer, is_ours, clock)
    pages = Pages(issuer, api_host)
    cookies = FlowCookies(sealed_tokens, secure=issuer.startswith("https:"))
    default_scopes = needed_by_tools(tool_scopes)
    browser = BrowserRoutes(issuer, clients, cookies, tokens, pages, upstream, is_ours, default_scopes, clock)
    endpoints = Endpoints(issuer, clients, tokens, clock)

    def limited(name: str, endpoint: _Endpoint, *, is_page: bool) -> _Endpoint:
        async def serve(request: Request) -> Response:
            address = request.client.host if request.client is not None else "unknown"
            wait = rate.acquire(f"oauth-{name} {network_of(address)}") if rate is not None else 0
            if wait <= 0:
                return await endpoint(request)
            headers = {"Retry-After": str(math.ceil(wait))}
            if is_page:
                return pages.problem(request, "busy", status=429, headers=headers)
            body = {"error": "temporarily_unavailable", "error_description": "Too many requests."}
            return JSONResponse(body, 429, headers=headers)

        return serve

    table: list[tuple[str, str, _Endpoint, bool]] = [
        ("authorize", "GET", browser.authorize, True),
        ("consent", "POST", browser.consent, True),
        ("callback", "GET", browser.callback, True),
        ("sign-out", "GET", browser.sign_out_page, True),
        ("sign-out", "POST", browser.sign_out, True),
        ("token", "POST", endpoints.token, False),
        ("register", "POST", endpoints.register, False),
        ("revoke", "POST", endpoints.revoke, False),
    ]
    routes: list[BaseRoute] = [
        Route(f"/oauth/{name}", limited(name, endpoint, is_page=is_page), methods=[method])
        for name, method, endpoint, is_page in table
    ]
    routes += [
        Route("/", limited("home", pages.home, is_page=True), methods=["GET"]),
        Route("/.well-known/oauth-authorization-server", endpoints.server_metadata),
    ]
    return OAuthServer(
        issuer=issuer,
        scopes=default_scopes,
        routes=routes,
        open_paths=frozenset({"/", *(f"/oauth/{name}" for name, *_ in table)}),
        middleware=Middleware(ScopeMiddleware, issuer=issuer, tool_scopes=tool_scopes),
        verifier=tokens.verify,
        is_known=lambda bearer: sealed_tokens.open("access", bearer, even_expired=True) is not None,
    )
