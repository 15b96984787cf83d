"""`kallyai-mcp serve` over HTTP, and the app for workers that uvicorn starts."""

import asyncio
import gc
import importlib.util
import multiprocessing
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import click
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection, connect
from kallyai_mcp.cli.ledger import check_shared_database
from kallyai_mcp.cli.output import CommandError, SetupError
from kallyai_mcp.cli.sandbox import cannot_listen
from kallyai_mcp.cli.serve_auth import ServeOptions, check_access, choose_verifier, create_oauth_server
from kallyai_mcp.cli.shared_keys import request_state_security
from kallyai_mcp.logs import configure
from kallyai_mcp.server.build import build_server
from kallyai_mcp.settings import Settings, SettingsError
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.transports.access_policy import AccessPolicy
from kallyai_mcp.transports.asgi_app import http_app
from kallyai_mcp.transports.limits import RateLimiter
from kallyai_mcp.transports.standard_streams import allow_open_files
from kallyai_mcp.transports.status_routes import READY_TIMEOUT, Check, Readiness
from kallyai_mcp.transports.uvicorn_server import StartupError, serve_app

if TYPE_CHECKING:
    from kallyai_mcp.auth.oauth_server.provider import Provider

_WRONG_BEARERS = "20/minute"
"""How many wrong bearer tokens one address may send."""

_DO_NOT_RESTART = 3
"""The exit code of a worker that tells uvicorn not to start it again."""

_LOOPBACK_HOSTS = ("127.0.0.1:*", "localhost:*", "[::1]:*")
_LOOPBACK_ORIGINS = tuple(f"http://{host}" for host in _LOOPBACK_HOSTS)


def serve_over_http(settings: Settings, host: str, port: int, *, auth: str, sandbox: bool, speed: float) -> None:
    """Serve over HTTP until SIGINT or SIGTERM.

    Raises:
        click.ClickException: The address is not free, or the options are not safe; one line says why.
    """
    app = _start(settings, ServeOptions(host, auth, sandbox, speed))
    gc.enable()  # `main` has disabled it for the imports

    def ready(url: str) -> None:
        click.echo(f"kallyai-mcp serves {url}/mcp and {url}/sse", err=True)

    try:
        has_uvloop = importlib.util.find_spec("uvloop") is not None
        anyio.run(lambda: serve_app(app, host, port, ready=ready), backend_options={"use_uvloop": has_uvloop})
    except OSError as error:
        raise CommandError(cannot_listen(host, port, error)) from None
    except StartupError as error:
        raise CommandError(str(error)) from None


def from_environment() -> Starlette:
    """Create the app from the environment alone, for a web server that imports it.

    An example is `uvicorn --factory kallyai_mcp.cli.serve_http:from_environment --workers 2`. The app doesn't know its
    address, so `KALLYAI_AUTH` must not be `none`.

    Raises:
        SystemExit: A setting is not valid, or not safe; one line on stderr says which.
    """
    try:
        settings = Settings.from_env()
        if settings.sandbox:
            raise SetupError("KALLYAI_SANDBOX is for `serve`: run `kallyai-mcp sandbox`, and set KALLYAI_API_URL.")
        is_shared = multiprocessing.parent_process() is not None
        return _start(settings, ServeOptions(None, settings.auth, is_shared=is_shared))
    except (SettingsError, click.ClickException) as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(_DO_NOT_RESTART) from None


def _start(settings: Settings, options: ServeOptions) -> Starlette:
    configure(settings.log_level, settings.log_format)
    allow_open_files()
    app = build_app(settings, options)
    gc.freeze()
    gc.set_threshold(20_000)  # a request leaves few cycles; with the default of 700, collecting takes 8 % of its time
    return app


def build_app(settings: Settings, options: ServeOptions) -> Starlette:
    """Build the ASGI app.

    Raises:
        SetupError: The options are not safe, or they need a setting or an extra that is missing.
    """
    check_access(settings, options)
    check_shared_database(settings)
    callers = options.auth in ("caller", "oauth")
    connection = connect(settings, sandbox=options.sandbox, speed=options.speed, callers=callers)
    rate = RateLimiter(settings.rate_limit)
    wrong_bearers = RateLimiter(_WRONG_BEARERS)
    provider: Provider | None = None
    routes: Sequence[Route] = ()
    middleware: Sequence[Middleware] = ()
    if options.auth == "oauth":
        provider, routes, middleware = create_oauth_server(settings, connection.api, connection.shared_state())
    verifier, is_known = choose_verifier(settings, options, provider)
    app_context = _SharedAppContext(connection, links=options.is_local and settings.public_url is None)
    server = build_server(
        app_context.get,
        log_level=settings.log_level,
        keep_days=settings.keep_days,
        read_only=settings.read_only,
        request_state=request_state_security(connection.keys),
    )
    own_pages = (provider.issuer,) if provider is not None else ()
    policy = AccessPolicy(
        hosts=_hosts(settings, local=options.is_local),
        origins=(*(_LOOPBACK_ORIGINS if options.is_local else ()), *own_pages, *settings.allowed_origins),
        verifier=verifier,
        is_known=is_known,
        wrong_bearer_limit=wrong_bearers,
        issuer=provider.issuer if provider is not None else settings.api_url if callers else None,
        scopes=provider.default_scopes if provider is not None else (),
        public_url=provider.issuer if provider is not None else settings.public_url,
        open_paths=frozenset(route.path for route in routes),
        rate_limit=rate,
        trusted_proxies=settings.trusted_proxies,
    )

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with app_context.open():
            await connection.keys.load(connection.shared_state())
            yield

    return http_app(
        server,
        policy,
        readiness=Readiness(_readiness_checks(connection)),
        lifespan=lifespan(),
        sse=not options.is_shared,
        routes=routes,
        middleware=middleware,
    )


class _SharedAppContext:
    """One app context for the whole life of the app. The SDK runs the server's lifespan for each `/sse` connection.

    The app context is opened outside of any request, so that its tasks never see the token of a caller.
    """

    def __init__(self, connection: Connection, *, links: bool) -> None:
        self._connection = connection
        self._links = links
        self._app_context: AppContext | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async with open_app_context(self._connection, links=self._links) as self._app_context:
            yield

    @asynccontextmanager
    async def get(self) -> AsyncIterator[AppContext]:
        assert self._app_context is not None, "nothing is served before the app has started"  # noqa: S101
        yield self._app_context


def _hosts(settings: Settings, *, local: bool) -> tuple[str, ...] | None:
    own = (urlsplit(settings.public_url).netloc,) if settings.public_url is not None else ()
    if local:
        return (*_LOOPBACK_HOSTS, *own, *settings.allowed_hosts)
    return (*own, *settings.allowed_hosts) if settings.allowed_hosts else None


def _readiness_checks(connection: Connection) -> dict[str, Check]:
    async def ledger() -> None:
        # Not anyio's time-out: the ledger shields its steps from it, but this step may be interrupted.
        async with asyncio.timeout(READY_TIMEOUT):
            await connection.ledger().has_abandoned(None)  # the cheapest query

    async def api() -> None:
        await connection.api().check_reachable()

    return {"ledger": ledger, "api": api}
