"""`kallyai-mcp serve --transport http` (or sse): one server for many clients."""

import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import click
from mcp.server.auth.provider import AccessToken
from starlette.applications import Starlette

from kallyai_mcp.api.address import is_loopback
from kallyai_mcp.api.errors import Forbidden, KallyAIError
from kallyai_mcp.auth.callers import CallerVerifier, secret_verifier
from kallyai_mcp.auth.session import StaticTokens
from kallyai_mcp.cli.connection import Connection, open_desk
from kallyai_mcp.logs import configure
from kallyai_mcp.server import build_server
from kallyai_mcp.settings import Settings
from kallyai_mcp.telemetry import configure_from_environment
from kallyai_mcp.tools.desk import Desk
from kallyai_mcp.transports.door import CannotTell, Door, Verifier
from kallyai_mcp.transports.http import Check, http_app
from kallyai_mcp.transports.patience import serve_app
from kallyai_mcp.transports.rates import Rates

if TYPE_CHECKING:
    from kallyai_mcp.sandbox.app import SandboxApp

_log = logging.getLogger(__name__)

_VERDICT_SECONDS = 10.0
"""How long KallyAI may take to say whether a token is good."""

_LOOPBACK_HOSTS = ("127.0.0.1:*", "localhost:*", "[::1]:*")
_LOOPBACK_ORIGINS = tuple(f"http://{host}" for host in _LOOPBACK_HOSTS)


class _CannotServe(click.ClickException):
    exit_code = 2


@dataclass(frozen=True)
class Place:
    """Where the server is, and who may come in: `auth` is `none`, `secret` or `caller`."""

    host: str
    port: int
    auth: str
    sandbox: bool
    speed: float


def serve_over_http(settings: Settings, host: str, port: int, *, auth: str, sandbox: bool, speed: float) -> None:
    """Serve over HTTP until SIGINT or SIGTERM.

    Raises:
        click.ClickException: It can't be served there, or not like this; one line says why.
    """
    place = Place(host, port, auth, sandbox, speed)
    configure(settings.log_level, settings.log_format)
    configure_from_environment()
    app = build_app(settings, place)
    gc.freeze()
    gc.enable()  # `main` has disabled it while all this was imported

    def ready(url: str) -> None:
        click.echo(f"kallyai-mcp serves {url}/mcp and {url}/sse", err=True)

    try:
        anyio.run(lambda: serve_app(app, host, port, ready=ready))
    except OSError as error:
        raise click.ClickException(f"{host}:{port} can't be listened on: {error.strerror or error}") from None


def build_app(settings: Settings, place: Place) -> Starlette:
    """The ASGI app for `place`.

    Raises:
        click.ClickException: It would let in whom it should not.
    """
    _check(settings, place)
    callers = place.auth == "caller"

    def embedded() -> "SandboxApp":
        from kallyai_mcp.sandbox.app import create_app

        return create_app(data=settings.home / "sandbox.db", speed=place.speed)

    connection = Connection(settings, embedded=embedded if place.sandbox else None, callers=callers)
    local = is_loopback(place.host)
    rates = Rates(settings.rate_limit, settings.redis_url)
    shared = _SharedDesk(connection, links=local and settings.public_url is None)
    server = build_server(shared.visit, log_level=settings.log_level, keep_days=settings.keep_days)
    door = Door(
        hosts=_hosts(settings, local=local),
        origins=(*_LOOPBACK_ORIGINS, *settings.allowed_origins) if local else settings.allowed_origins,
        verifier=_verifier(settings, connection, place),
        issuer=settings.api_url if callers else None,
        public_url=settings.public_url,
        rate=rates,
    )

    @asynccontextmanager
    async def around() -> AsyncIterator[None]:
        try:
            async with shared.open():
                yield
        finally:
            with anyio.CancelScope(shield=True):
                await rates.aclose()

    return http_app(server, door, checks=_checks(connection), around=around())


class _SharedDesk:
    """One desk for the app's whole life: the SDK starts the server anew for each connection to `/sse`.

    Opened by the app, it also belongs to no request, so that nothing of one caller's is at hand where no one calls.
    """

    def __init__(self, connection: Connection, *, links: bool) -> None:
        self._connection = connection
        self._links = links
        self._desk: Desk | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async with open_desk(self._connection, links=self._links) as self._desk:
            yield

    @asynccontextmanager
    async def visit(self) -> AsyncIterator[Desk]:
        assert self._desk is not None, "nothing is served before the app has started"  # noqa: S101
        yield self._desk


def _hosts(settings: Settings, *, local: bool) -> tuple[str, ...] | None:
    own = (urlsplit(settings.public_url).netloc,) if settings.public_url is not None else ()
    if local:
        return (*_LOOPBACK_HOSTS, *own, *settings.allowed_hosts)
    return (*own, *settings.allowed_hosts) if settings.allowed_hosts else None


def _check(settings: Settings, place: Place) -> None:
    if place.auth == "none" and not is_loopback(place.host):
        raise _CannotServe(
            f"{place.host} can be reached by others, so say who may come in: --auth secret (whoever has "
            "KALLYAI_MCP_TOKEN) or --auth caller (whoever brings a KallyAI access token)."
        )
    if place.auth == "secret" and settings.mcp_token is None:
        raise _CannotServe("--auth secret needs the secret: set KALLYAI_MCP_TOKEN.")
    if place.auth == "caller" and place.sandbox:
        raise _CannotServe("--auth caller needs a KallyAI that gives tokens: run `kallyai-mcp sandbox` beside it.")


def _verifier(settings: Settings, connection: Connection, place: Place) -> Verifier | None:
    if place.auth == "caller":
        return _ask_kallyai(connection.settings)
    return secret_verifier(settings.mcp_token) if settings.mcp_token is not None else None


def _ask_kallyai(settings: Settings) -> Verifier:
    async def ask(bearer: str) -> object:
        from kallyai_mcp.api.client import KallyAI

        async with KallyAI(
            settings.api_url, tokens=StaticTokens(bearer), user_agent=settings.user_agent, retry_backoff=0.1
        ) as api:
            try:
                return await api.list_calls(limit=1)
            except Forbidden:  # this token may not see calls; it may be good for something else
                return await api.get_statistics()

    verifier = CallerVerifier(ask)

    async def verify(bearer: str) -> AccessToken | None:
        try:
            with anyio.fail_after(_VERDICT_SECONDS):
                return await verifier(bearer)
        except TimeoutError as error:
            raise CannotTell from error
        except KallyAIError as error:
            _log.warning("a caller's token could not be checked: %s", error.code)
            raise CannotTell(error.retry_after or 5) from error

    return verify


def _checks(connection: Connection) -> dict[str, Check]:
    async def ledger() -> None:
        store = connection.ledger()
        try:
            await store.has_orphans("", datetime.now(UTC), timedelta())  # the cheapest question there is
        finally:
            await store.aclose()

    async def api() -> None:
        await connection.api().reach()

    return {"ledger": ledger, "api": api}
