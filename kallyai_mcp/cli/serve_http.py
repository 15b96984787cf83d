"""`kallyai-mcp serve` over HTTP: who may use it, and the app, also for workers that uvicorn
starts.
"""

import asyncio
import gc
import hmac
import importlib.util
import multiprocessing
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import click
from mcp.server.auth.provider import AccessToken
from mcp.server.mcpserver import RequestStateSecurity
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from kallyai_mcp.api.errors import ForbiddenError
from kallyai_mcp.auth.caller_tokens import CallerVerifier
from kallyai_mcp.auth.session import StaticTokens
from kallyai_mcp.calls.storage import SharedValues, check_readable, note_public_url
from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection, open_api
from kallyai_mcp.cli.output import CommandError, SetupError, explain, say
from kallyai_mcp.cli.sandbox import cannot_listen
from kallyai_mcp.logs.setup import configure
from kallyai_mcp.server.build import build_server
from kallyai_mcp.setting_values import MAKE_KEY, PREFIX, SettingsError
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.catalog import tools
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.transports.access import AccessPolicy, metadata_routes
from kallyai_mcp.transports.asgi_app import Check, http_app
from kallyai_mcp.transports.bearers import BearerCheck, Verifier
from kallyai_mcp.transports.rate_limiter import RateLimiter
from kallyai_mcp.transports.uvicorn_server import serve_app
from kallyai_mcp.urls import is_loopback, keeps_secrets

if TYPE_CHECKING:
    from kallyai_mcp.auth.oauth_server.provider import Provider

_DO_NOT_RESTART = 3
"""The exit code of a worker that tells uvicorn not to start it again."""

_AUTHS_OF_USERS = ("caller", "oauth")
"""The kinds of access where each user has a token of KallyAI, or one that stands for it."""

_FOR_OTHERS = ("KALLYAI_PUBLIC_URL", "KALLYAI_ALLOWED_HOSTS", "KALLYAI_ALLOWED_ORIGINS")
"""Settings that are only useful if others reach the server."""

_NEEDED = {
    "secret": ("KALLYAI_MCP_TOKEN",),
    "oauth": (
        "KALLYAI_CLIENT_ID",
        "KALLYAI_CLIENT_SECRET",
        "KALLYAI_SECRET_KEYS",
        "KALLYAI_PUBLIC_URL",
    ),
}
"""What each kind of access needs."""

_LOOPBACK_HOSTS = ("127.0.0.1:*", "localhost:*", "[::1]:*")
_LOOPBACK_ORIGINS = tuple(f"http://{host}" for host in _LOOPBACK_HOSTS)


def serve_over_http(settings: Settings, host: str, port: int, *, speed: float) -> None:
    """Serve over HTTP until SIGINT or SIGTERM."""
    app = _start(settings, host, speed=speed)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopped.set))
        finish_seconds = settings.finish_seconds
        async with serve_app(app, host, port, finish_seconds=finish_seconds) as url:
            explain(f"kallyai-mcp serves {url}/mcp and {url}/sse", err=True)
            await stopped.wait()

    try:
        anyio.run(
            serve, backend_options={"use_uvloop": importlib.util.find_spec("uvloop") is not None}
        )
    except OSError as error:
        raise CommandError(cannot_listen(host, port, error)) from None


def from_environment() -> Starlette:
    """Create the app from the environment alone, for a web server that imports it.

    An example is `uvicorn --factory kallyai_mcp.cli.serve_http:from_environment --workers 2`. The
    app doesn't know its address, so `KALLYAI_AUTH` must not be `none`.
    """
    try:
        settings = Settings.from_env()
        if settings.sandbox:  # each worker would have one, on the same file
            raise SetupError(
                "KALLYAI_SANDBOX is for `serve`: run `kallyai-mcp sandbox`, and set "
                "KALLYAI_API_URL."
            )
        return _start(settings, None)
    except (SettingsError, click.ClickException) as error:
        say(f"Error: {error}", err=True)
        raise SystemExit(_DO_NOT_RESTART) from None


def _start(settings: Settings, host: str | None, *, speed: float = 10) -> Starlette:
    configure(settings.log_level, settings.log_format)
    app = build_app(settings, host, speed=speed)
    gc.freeze()
    # A request leaves few cycles; with the default of 700, collecting takes 8 % of its time.
    gc.set_threshold(20_000)
    return app


def build_app(
    settings: Settings,
    host: str | None,
    *,
    speed: float = 10,
    clock: Callable[[], float] = time.time,
    fetch: Callable[[str], Awaitable[bytes]] | None = None,
) -> Starlette:
    """Build the ASGI app.

    `host` is None if it is not known; then it counts as an address that others can reach. `clock`
    tells the time of the hosted sign-in in seconds since the epoch, and `fetch` fetches the
    metadata documents of its clients; None for the usual way.
    """
    # Then others accept connections on the same port.
    is_worker = multiprocessing.parent_process() is not None
    if is_worker and not settings.secret_keys:
        raise SetupError(
            f"KALLYAI_SECRET_KEYS is needed, the same for all workers; `{MAKE_KEY}` makes one."
        )
    check_access(settings, host)
    is_local = is_loopback(host)
    callers = settings.auth in _AUTHS_OF_USERS
    connection = Connection(settings, speed=speed, callers=callers)
    provider: Provider | None = None
    routes: Sequence[Route] = ()
    middleware: Sequence[Middleware] = ()
    if settings.auth == "oauth":
        provider, routes, middleware = create_oauth_server(settings, connection, clock, fetch)
    if callers and settings.public_url is not None:
        routes = [*routes, *_metadata_routes(settings.public_url, provider, settings.api_url)]
    opened: list[AppContext] = []

    @asynccontextmanager
    # The SDK asks for it for each `/sse` connection.
    async def shared_app_context() -> AsyncIterator[AppContext]:
        yield opened[0]

    request_state = None
    if settings.secret_keys:
        request_state = RequestStateSecurity(keys=list(settings.secret_keys))
    server = build_server(
        shared_app_context,
        read_only=settings.read_only,
        sandbox=settings.calls_nobody,
        wait_seconds=settings.wait_seconds,
        request_state=request_state,
    )

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        # Opened outside of any request, so that its tasks never see the token of a caller.
        links = is_local and settings.public_url is None
        async with (
            open_app_context(connection, links=links) as app_context,
            anyio.create_task_group() as tasks,
        ):
            opened.append(app_context)
            if provider is not None:  # `doctor` compares it with a new one
                tasks.start_soon(note_public_url, connection.ledger(), provider.issuer)
            yield
            tasks.cancel_scope.cancel()

    checks: dict[str, Check] = {
        "ledger": lambda: check_readable(connection.ledger()),
        "api": lambda: connection.api().check_reachable(),
    }
    app = http_app(
        server,
        _policy_of(settings, provider, local=is_local),
        checks=checks,
        lifespan=lifespan(),
        sse=not is_worker,
        routes=routes,
        middleware=middleware,
    )
    if provider is not None:
        from kallyai_mcp.auth.oauth_server.no_page import NoPage

        app.add_middleware(NoPage, issuer=provider.issuer)
    return app


def _metadata_routes(public_url: str, provider: "Provider | None", api_url: str) -> Sequence[Route]:
    """The metadata of the server: its tokens come from its own sign-in, or from KallyAI."""
    if provider is None:
        return metadata_routes(public_url, api_url, ())
    return metadata_routes(public_url, provider.issuer, provider.default_scopes)


def _policy_of(settings: Settings, provider: "Provider | None", *, local: bool) -> AccessPolicy:
    hosts = list(settings.allowed_hosts)
    origins = list(settings.allowed_origins)
    has_known_hosts = local or bool(hosts)
    if local:
        hosts += _LOOPBACK_HOSTS
        origins += _LOOPBACK_ORIGINS
    if settings.public_url is not None:
        hosts.append(urlsplit(settings.public_url).netloc)
    if provider is not None:
        origins.append(provider.issuer)
    return AccessPolicy(
        hosts=tuple(hosts) if has_known_hosts else None,
        origins=tuple(origins),
        bearers=choose_bearers(settings, provider),
        metadata_at=settings.public_url if settings.auth in _AUTHS_OF_USERS else None,
        rate_limit=settings.rate_limit,
        trusted_proxies=settings.trusted_proxies,
    )


def check_access(settings: Settings, host: str | None) -> None:
    """Check that the settings neither open the server to everyone nor make it impossible to use;
    `host` as above.
    """
    auth = settings.auth
    flag = "KALLYAI_AUTH=" if host is None else "--auth "
    public = _what_lets_others_in(settings, host)
    if auth == "none" and public:
        raise SetupError(
            f"{public[0]} lets others reach this server, so say who may use it: {flag}secret "
            "(clients with "
            f"KALLYAI_MCP_TOKEN), {flag}caller (clients with a KallyAI access token), or "
            f"{flag}oauth (users who sign "
            "in)."
        )
    if auth in _AUTHS_OF_USERS and settings.sandbox:
        raise SetupError(
            f"{flag}{auth} needs a KallyAI that gives tokens: run `kallyai-mcp sandbox` beside it."
        )
    needed = _NEEDED.get(auth, ())
    missing = [variable for variable in needed if variable not in _set_variables(settings, needed)]
    if missing:
        raise SetupError(f"{flag}{auth} needs {', '.join(missing)} (docs/hosting.md).")


def _what_lets_others_in(settings: Settings, host: str | None) -> list[str]:
    """The address and the settings that let others reach the server."""
    address = [] if is_loopback(host) else [host or "Its address"]
    if settings.mcp_token is not None:
        return address
    return [*address, *_set_variables(settings, _FOR_OTHERS)]


def _set_variables(settings: Settings, variables: Iterable[str]) -> list[str]:
    """Those of some environment variables whose settings have a value."""
    return [name for name in variables if getattr(settings, name.removeprefix(PREFIX).lower())]


def create_oauth_server(
    settings: Settings,
    connection: Connection,
    clock: Callable[[], float],
    fetch: Callable[[str], Awaitable[bytes]] | None,
) -> tuple["Provider", Sequence[Route], Sequence[Middleware]]:
    """The provider of `--auth oauth`, its routes, and the middleware that checks the scopes of its
    tokens.
    """
    from kallyai_mcp.auth.oauth_server.clients import DocumentFetcher
    from kallyai_mcp.auth.oauth_server.provider import Provider
    from kallyai_mcp.auth.oauth_server.routes import oauth_routes
    from kallyai_mcp.auth.oauth_server.scopes import BILLING_LINK, ScopeMiddleware
    from kallyai_mcp.auth.oauth_server.sealed_tokens import SealedTokens
    from kallyai_mcp.auth.oauth_server.stored import Stored

    issuer = settings.public_url or ""
    parts = urlsplit(issuer)
    # With a path, RFC 8414, section 2, would have other addresses for the metadata.
    if parts.path or not keeps_secrets(parts):
        raise SetupError(
            "KALLYAI_PUBLIC_URL: it must be https and a host, without a path, as "
            "https://phone.example.com"
        )
    values = SharedValues(connection.ledger())
    tool_scopes = {tool.name: tool.scopes for tool in tools(read_only=settings.read_only)}
    provider = Provider(
        issuer=issuer,
        sealed_tokens=SealedTokens(settings.secret_keys, issuer, clock),
        stored=Stored(values.put, values.get, values.all_of),
        fetch=fetch or DocumentFetcher(settings.user_agent).fetch,
        api=connection.api,
        client_id=settings.client_id or "",
        client_secret=settings.client_secret or "",
        default_scopes=sorted({*BILLING_LINK, *chain.from_iterable(tool_scopes.values())}),
    )
    routes = oauth_routes(provider, RateLimiter(settings.rate_limit).acquire)
    return provider, routes, (Middleware(ScopeMiddleware, issuer=issuer, tool_scopes=tool_scopes),)


def choose_bearers(settings: Settings, provider: "Provider | None") -> BearerCheck | None:
    """Which bearer tokens are good; None if none is needed."""
    if provider is not None:
        return _two_sided(provider.load_access_token, provider.is_known)
    if settings.auth == "caller":
        verifier = CallerVerifier(lambda bearer: _use(bearer, settings))
        return BearerCheck(verifier, verifier.is_known, verifier.is_refused)
    if settings.mcp_token is None:
        return None
    secret = settings.mcp_token.encode()

    def is_secret(bearer: str) -> bool:
        return hmac.compare_digest(bearer.encode(), secret)

    async def verify(bearer: str) -> AccessToken | None:
        if not is_secret(bearer):
            return None
        return AccessToken(token="", client_id="secret", scopes=[])

    return _two_sided(verify, is_secret)


def _two_sided(verify: Verifier, is_ours: Callable[[str], bool]) -> BearerCheck:
    """The check where this server itself can tell which tokens are wrong."""
    return BearerCheck(verify, is_ours, is_refused=lambda bearer: not is_ours(bearer))


async def _use(bearer: str, settings: Settings) -> object:
    """Send a cheap request with `bearer`, to find out whether KallyAI accepts the token."""
    async with aclosing(open_api(settings, StaticTokens(bearer), retry_backoff=0.1)) as api:
        try:
            return await api.list_calls(limit=1)
        except ForbiddenError:  # the token may still permit something else
            return await api.get_statistics()
