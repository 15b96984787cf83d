"""One server for many clients: `kallyai-mcp serve --transport http` (or sse), and the app for uvicorn's own workers."""

import asyncio
import gc
import importlib.util
import multiprocessing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import click
from starlette.applications import Starlette

from kallyai_mcp.cli.connection import Connection, open_app_context
from kallyai_mcp.cli.serve_auth import ServeError, ServeOptions, check, hosted_sign_in, is_local, verifier_of
from kallyai_mcp.cli.shared_keys import request_state_security
from kallyai_mcp.logs import configure
from kallyai_mcp.server.build import build_server
from kallyai_mcp.settings import Settings, SettingsError
from kallyai_mcp.telemetry import configure_from_environment
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.transports.access import AccessPolicy
from kallyai_mcp.transports.asgi_app import READY_SECONDS, Check, http_app
from kallyai_mcp.transports.rate_limit import RateLimiter
from kallyai_mcp.transports.uvicorn_server import StartupError, serve_app

if TYPE_CHECKING:
    from kallyai_mcp.calls.ledger.base import Ledger
    from kallyai_mcp.sandbox.app import SandboxApp

_WRONG_BEARERS = "20/minute"
"""How many bearers that are not good may come from one address."""

_SIGN_INS = "60/minute"
"""How often one address may use one endpoint of the hosted sign-in."""

_NO_START = 3
"""The exit code by which a worker tells uvicorn that starting it again would not help."""

_LOOPBACK_HOSTS = ("127.0.0.1:*", "localhost:*", "[::1]:*")
_LOOPBACK_ORIGINS = tuple(f"http://{host}" for host in _LOOPBACK_HOSTS)


def serve_over_http(settings: Settings, host: str, port: int, *, auth: str, sandbox: bool, speed: float) -> None:
    """Serve over HTTP until SIGINT or SIGTERM.

    Raises:
        click.ClickException: It can't be served there, or not like this; one line says why.
    """
    app = _start(settings, ServeOptions(host, port, auth, sandbox, speed))
    gc.enable()  # `main` has disabled it while all this was imported

    def ready(url: str) -> None:
        click.echo(f"kallyai-mcp serves {url}/mcp and {url}/sse", err=True)

    try:
        anyio.run(lambda: serve_app(app, host, port, ready=ready), backend_options={"use_uvloop": _has_uvloop()})
    except OSError as error:
        raise click.ClickException(f"{host}:{port} can't be listened on: {error.strerror or error}") from None
    except StartupError as error:
        raise click.ClickException(str(error)) from None


def from_environment() -> Starlette:
    """The app, set up by the environment alone, for a web server that is told where to find it.

    Such as `uvicorn --factory kallyai_mcp.cli.serve_http:from_environment --workers 2`. It can't know at which address
    it is
    served, so `KALLYAI_AUTH` must say who may come in.

    Raises:
        SystemExit: A setting can't be used, or it would let in whom it should not; one line on stderr says so.
    """
    try:
        settings = Settings.from_env()
        if settings.sandbox:
            raise ServeError("KALLYAI_SANDBOX is for `serve`: run `kallyai-mcp sandbox`, and set KALLYAI_API_URL.")
        is_shared = multiprocessing.parent_process() is not None
        return _start(settings, ServeOptions(None, 0, settings.auth, sandbox=False, speed=1, is_shared=is_shared))
    except (SettingsError, click.ClickException) as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(_NO_START) from None


def _start(settings: Settings, place: ServeOptions) -> Starlette:
    configure(settings.log_level, settings.log_format)
    configure_from_environment()
    app = build_app(settings, place)
    gc.freeze()
    return app


def _has_uvloop() -> bool:
    return importlib.util.find_spec("uvloop") is not None


def build_app(settings: Settings, place: ServeOptions) -> Starlette:
    """The ASGI app for `place`.

    Raises:
        click.ClickException: It would let in whom it should not.
    """
    check(settings, place)
    callers = place.auth in ("caller", "oauth")

    def embedded() -> "SandboxApp":
        from kallyai_mcp.sandbox.app import create_app

        return create_app(data=settings.home / "sandbox.db", speed=place.speed)

    connection = _OneLedger(settings, embedded=embedded if place.sandbox else None, callers=callers)
    local = is_local(place)
    rates = RateLimiter(settings.rate_limit, settings.redis_url)
    wrong = RateLimiter(_WRONG_BEARERS, settings.redis_url, name="wrong bearers")
    sign_ins = RateLimiter(_SIGN_INS, settings.redis_url, name="sign-ins")
    hosted = hosted_sign_in(settings, connection, sign_ins) if place.auth == "oauth" else None
    verifier, known = verifier_of(settings, connection, place, hosted)
    shared = _SharedDesk(connection, links=local and settings.public_url is None)
    server = build_server(
        shared.visit,
        log_level=settings.log_level,
        keep_days=settings.keep_days,
        request_state=request_state_security(connection.keys),
    )
    own_pages = (hosted.issuer,) if hosted is not None else ()
    door = AccessPolicy(
        hosts=_hosts(settings, local=local),
        origins=(*(_LOOPBACK_ORIGINS if local else ()), *own_pages, *settings.allowed_origins),
        verifier=verifier,
        known=known,
        wrong=wrong,
        issuer=hosted.issuer if hosted is not None else settings.api_url if callers else None,
        public_url=hosted.issuer if hosted is not None else settings.public_url,
        open_paths=hosted.open_paths if hosted is not None else frozenset(),
        rate=rates,
    )

    @asynccontextmanager
    async def around() -> AsyncIterator[None]:
        try:
            async with shared.open():
                yield
        finally:
            with anyio.CancelScope(shield=True):
                await connection.ledger().aclose()  # which `/ready` may have opened after all
                await rates.aclose()
                await wrong.aclose()
                await sign_ins.aclose()
                if hosted is not None:
                    await hosted.close()

    return http_app(
        server,
        door,
        checks=_checks(connection),
        around=around(),
        sse=not place.is_shared,
        beside=hosted.routes if hosted is not None else (),
        within=(hosted.middleware,) if hosted is not None else (),
    )


class _OneLedger(Connection):
    """A connection whose ledger is one object: the desk's, which `/ready` asks, too."""

    _ledger: "Ledger | None" = None

    def ledger(self) -> "Ledger":
        if self._ledger is None:
            self._ledger = super().ledger()
        return self._ledger


class _SharedDesk:
    """One desk for the app's whole life: the SDK starts the server anew for each connection to `/sse`.

    Opened by the app, it also belongs to no request, so that nothing of one caller's is at hand where no one calls.
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
    async def visit(self) -> AsyncIterator[AppContext]:
        assert self._app_context is not None, "nothing is served before the app has started"  # noqa: S101
        yield self._app_context


def _hosts(settings: Settings, *, local: bool) -> tuple[str, ...] | None:
    own = (urlsplit(settings.public_url).netloc,) if settings.public_url is not None else ()
    if local:
        return (*_LOOPBACK_HOSTS, *own, *settings.allowed_hosts)
    return (*own, *settings.allowed_hosts) if settings.allowed_hosts else None


def _checks(connection: Connection) -> dict[str, Check]:
    async def ledger() -> None:
        # asyncio's time-out, because a ledger shields its steps from anyio's; this one may be left half done.
        async with asyncio.timeout(READY_SECONDS):
            await connection.ledger().has_orphans("", datetime.now(UTC), timedelta())  # the cheapest question there is

    async def api() -> None:
        await connection.api().reach()

    return {"ledger": ledger, "api": api}
