"""`--auth` of `kallyai-mcp serve`: checks who may use the HTTP server, and chooses how bearer tokens are verified."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
from mcp.server.auth.provider import AccessToken
from starlette.middleware import Middleware
from starlette.routing import Route

from kallyai_mcp.api.errors import ForbiddenError, KallyAIError
from kallyai_mcp.auth.caller_tokens import CallerVerifier, SecretVerifier
from kallyai_mcp.auth.session import StaticTokens
from kallyai_mcp.cli.connection import open_api
from kallyai_mcp.cli.output import SetupError
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.catalog import tools
from kallyai_mcp.transports.limits import RateLimiter, VerificationUnavailableError, Verifier
from kallyai_mcp.urls import is_loopback

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI
    from kallyai_mcp.auth.oauth_server.provider import Provider, SharedState

_log = logging.getLogger(__name__)

_VERIFY_SECONDS = 10.0
"""How many seconds KallyAI may take to verify a token."""

_RETRY_AFTER = 5.0
"""After how many seconds a client should try again if its bearer token can't be verified, and KallyAI names no time."""


@dataclass(frozen=True)
class ServeOptions:
    """How to serve over HTTP.

    `host` is None if it is not known; then it counts as an address that others can reach. With `is_shared`, other
    workers accept connections on the same port.
    """

    host: str | None
    auth: str
    sandbox: bool = False
    speed: float = 1
    is_shared: bool = False

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host is not None and is_loopback(self.host)


def check_access(settings: Settings, options: ServeOptions) -> None:
    """Check that the settings neither open the server to everyone nor make it impossible to use.

    Raises:
        SetupError: They do.
    """
    flag = "KALLYAI_AUTH=" if options.host is None else "--auth "
    if options.auth == "none" and not options.is_local:
        host = options.host or "The server"
        raise SetupError(
            f"{host} can be reached by others, so say who may use it: {flag}secret (clients with "
            f"KALLYAI_MCP_TOKEN), {flag}caller (clients with a KallyAI access token) or {flag}oauth (users "
            "who sign in)."
        )
    if options.auth == "none" and settings.mcp_token is None and (name := _public_name(settings)) is not None:
        raise SetupError(
            f"{name} lets others reach this server, and {flag}none would give everyone the account that is signed "
            f"in here: set KALLYAI_MCP_TOKEN, or use {flag}secret, {flag}caller, or {flag}oauth."
        )
    if options.auth == "secret" and settings.mcp_token is None:
        raise SetupError(f"{flag}secret needs the secret: set KALLYAI_MCP_TOKEN.")
    if options.auth in ("caller", "oauth") and options.sandbox:
        raise SetupError(
            f"{flag}{options.auth} needs a KallyAI that gives tokens: run `kallyai-mcp sandbox` beside it."
        )


def _public_name(settings: Settings) -> str | None:
    """The setting that lets others use the server, and not only programs on this machine; None if there is none."""
    hosts = [host.removesuffix(":*") for host in settings.allowed_hosts]
    names = {
        "KALLYAI_PUBLIC_URL": [settings.public_url] if settings.public_url is not None else [],
        "KALLYAI_ALLOWED_HOSTS": [f"http://{host}" for host in hosts],
        "KALLYAI_ALLOWED_ORIGINS": [origin.removesuffix(":*") for origin in settings.allowed_origins],
    }
    return next((name for name, urls in names.items() if any(not _is_loopback_url(url) for url in urls)), None)


def _is_loopback_url(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname)
    except ValueError:
        return False


def create_oauth_server(
    settings: Settings, api: "Callable[[], KallyAI]", shared_state: "SharedState"
) -> tuple["Provider", Sequence[Route], Sequence[Middleware]]:
    """The provider of `--auth oauth`, its routes, and the middleware that checks the scopes of its tokens.

    Raises:
        SetupError: A setting is missing or not valid.
    """
    needed = {
        "KALLYAI_CLIENT_ID": settings.client_id,
        "KALLYAI_CLIENT_SECRET": settings.client_secret,
        "KALLYAI_SECRET_KEYS": settings.secret_keys,
        "KALLYAI_PUBLIC_URL": settings.public_url,
    }
    if missing := [name for name, value in needed.items() if not value]:
        names = ", ".join(missing)
        raise SetupError(f"oauth needs {names} (docs/hosted-sign-in.md).")
    from kallyai_mcp.auth.oauth_server.clients import DocumentClients
    from kallyai_mcp.auth.oauth_server.metadata_documents import DocumentFetcher
    from kallyai_mcp.auth.oauth_server.provider import Provider, check_public_url
    from kallyai_mcp.auth.oauth_server.routes import oauth_routes
    from kallyai_mcp.auth.oauth_server.scopes import ScopeMiddleware
    from kallyai_mcp.auth.oauth_server.sealed_tokens import SealedTokens

    try:
        issuer = check_public_url(settings.public_url or "")
    except ValueError as error:
        raise SetupError(f"KALLYAI_PUBLIC_URL: {error}") from None
    provider = Provider(
        issuer=issuer,
        sealed_tokens=SealedTokens(settings.secret_keys),
        shared_state=shared_state,
        document_clients=DocumentClients(DocumentFetcher(settings.user_agent).fetch, issuer),
        api=api,
        client_id=settings.client_id or "",
        client_secret=settings.client_secret or "",
        tool_scopes={tool.name: tool.spec.scopes for tool in tools(read_only=settings.read_only)},
    )
    routes = oauth_routes(provider, urlsplit(settings.api_url).netloc, RateLimiter(settings.rate_limit))
    return provider, routes, (Middleware(ScopeMiddleware, issuer=issuer, tool_scopes=provider.tool_scopes),)


def choose_verifier(
    settings: Settings, options: ServeOptions, provider: "Provider | None"
) -> tuple[Verifier | None, Callable[[str], bool]]:
    """Choose how bearer tokens are verified.

    Returns:
        The verifier; None if no bearer token is needed. And a function that returns, without a request to KallyAI,
        whether a bearer token was valid before.
    """
    if provider is not None:
        return _bounded(provider.load_access_token), provider.is_known
    if options.auth == "caller":
        verifier = CallerVerifier(lambda bearer: _use(bearer, settings))
        return _bounded(verifier), verifier.is_known
    if settings.mcp_token is None:
        return None, lambda _: False
    secret = SecretVerifier(settings.mcp_token)
    return secret, secret.is_known


def _bounded(verifier: Verifier) -> Verifier:
    """`verifier` with a time limit; its errors are raised as `VerificationUnavailableError`."""

    async def verify(bearer: str) -> AccessToken | None:
        try:
            with anyio.fail_after(_VERIFY_SECONDS):
                return await verifier(bearer)
        except TimeoutError as error:
            raise VerificationUnavailableError from error
        except KallyAIError as error:
            _log.warning("a bearer could not be verified: %s", error.code)
            raise VerificationUnavailableError(error.retry_after or _RETRY_AFTER) from error

    return verify


async def _use(bearer: str, settings: Settings) -> object:
    """Send a cheap request with `bearer`, to find out whether KallyAI accepts the token."""
    api = open_api(settings, StaticTokens(bearer), retry_backoff=0.1)
    try:
        return await api.list_calls(limit=1)
    except ForbiddenError:  # the token may still permit something else
        return await api.get_statistics()
