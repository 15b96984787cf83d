"""Who may come in over HTTP, as it was told: whom `serve` refuses to serve, and what checks bearers."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import click
from mcp.server.auth.provider import AccessToken

from kallyai_mcp.api.errors import ForbiddenError, KallyAIError
from kallyai_mcp.auth.caller_tokens import CallerVerifier, SecretVerifier
from kallyai_mcp.auth.session import StaticTokens
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.catalog import tools
from kallyai_mcp.transports.bearer_throttle import VerificationUnavailableError, Verifier
from kallyai_mcp.transports.rate_limit import RateLimiter
from kallyai_mcp.urls import is_loopback

if TYPE_CHECKING:
    from kallyai_mcp.auth.oauth_server.factory import OAuthServer

_log = logging.getLogger(__name__)

_VERDICT_SECONDS = 10.0
"""How long KallyAI may take to say whether a token is good."""


class ServeError(click.ClickException):
    """It would let in whom it should not, or what it needs is missing; one line says which."""

    exit_code = 2


@dataclass(frozen=True)
class ServeOptions:
    """Where the server is, and who may come in.

    Attributes:
        host: The address; None where it isn't known, which counts as one that others can reach.
        port: The port.
        auth: `none`, `secret`, `caller` or `oauth`.
        sandbox: Serve on the embedded sandbox.
        speed: How many times faster than real the embedded sandbox's calls are.
        is_shared: Other workers take connections from the same port.
    """

    host: str | None
    port: int
    auth: str
    sandbox: bool
    speed: float
    is_shared: bool = False


def is_local(place: ServeOptions) -> bool:
    """Whether only this machine can reach it."""
    return place.host is not None and is_loopback(place.host)


def check(settings: Settings, place: ServeOptions) -> None:
    """Raises `ServeError` where anybody could come in, or nobody."""
    by = "KALLYAI_AUTH=" if place.host is None else "--auth "
    if place.auth == "none" and not is_local(place):
        raise ServeError(
            f"{place.host or 'The server'} can be reached by others, so say who may come in: {by}secret (whoever has "
            f"KALLYAI_MCP_TOKEN), {by}caller (whoever brings a KallyAI access token) or {by}oauth (whoever signs in)."
        )
    if place.auth == "secret" and settings.mcp_token is None:
        raise ServeError(f"{by}secret needs the secret: set KALLYAI_MCP_TOKEN.")
    if place.auth in ("caller", "oauth") and place.sandbox:
        raise ServeError(f"{by}{place.auth} needs a KallyAI that gives tokens: run `kallyai-mcp sandbox` beside it.")


def hosted_sign_in(settings: Settings, connection: Connection, sign_ins: RateLimiter) -> "OAuthServer":
    """The hosted sign-in.

    Raises:
        ServeError: Something that it needs is missing or can't be used.
    """
    needed = {
        "KALLYAI_CLIENT_ID": settings.client_id,
        "KALLYAI_CLIENT_SECRET": settings.client_secret,
        "KALLYAI_SECRET_KEYS": settings.secret_keys,
        "KALLYAI_PUBLIC_URL": settings.public_url,
    }
    if missing := [name for name, value in needed.items() if value is None]:
        raise ServeError(f'oauth needs {", ".join(missing)} (README, "Hosted sign-in").')
    try:
        from kallyai_mcp.auth.oauth_server import factory, sealed_tokens
    except ImportError:
        raise ServeError("oauth needs the extra `hosted`: kallyai-mcp[hosted]") from None
    from kallyai_mcp.api.safe_fetch import SafeFetcher

    try:
        keys = sealed_tokens.keys_from(settings.secret_keys or "")
    except ValueError as error:
        raise ServeError(f"KALLYAI_SECRET_KEYS: {error}") from None
    try:
        return factory.build(
            public_url=settings.public_url or "",
            secret_keys=keys,
            api=connection.api,
            api_host=urlsplit(settings.api_url).netloc,
            client_id=settings.client_id or "",
            client_secret=settings.client_secret or "",
            fetch=SafeFetcher(user_agent=settings.user_agent).fetch,
            tool_scopes={tool.name: tool.spec.scopes for tool in tools()},
            redis_url=settings.redis_url,
            rate=sign_ins,
        )
    except ValueError as error:
        raise ServeError(f"KALLYAI_PUBLIC_URL: {error}") from None


def verifier_of(
    settings: Settings, connection: Connection, place: ServeOptions, hosted: "OAuthServer | None"
) -> tuple[Verifier | None, Callable[[str], bool]]:
    """What checks bearers, and what says whether one was good before; see `Door`."""
    if hosted is not None:
        return _seal_opener(hosted.verifier), hosted.known
    if place.auth == "caller":
        return _ask_kallyai(connection.settings)
    if settings.mcp_token is None:
        return None, lambda _: False
    secret = SecretVerifier(settings.mcp_token)
    return secret, secret.known


def _seal_opener(opened: Verifier) -> Verifier:
    async def verify(bearer: str) -> AccessToken | None:
        try:
            return await opened(bearer)
        except KallyAIError as error:
            raise VerificationUnavailableError(error.retry_after or 5) from error

    return verify


def _ask_kallyai(settings: Settings) -> tuple[Verifier, Callable[[str], bool]]:
    async def ask(bearer: str) -> object:
        from kallyai_mcp.api.client import KallyAI

        async with KallyAI(
            settings.api_url, tokens=StaticTokens(bearer), user_agent=settings.user_agent, retry_backoff=0.1
        ) as api:
            try:
                return await api.list_calls(limit=1)
            except ForbiddenError:  # this token may not see calls; it may be good for something else
                return await api.get_statistics()

    verifier = CallerVerifier(ask)

    async def verify(bearer: str) -> AccessToken | None:
        try:
            with anyio.fail_after(_VERDICT_SECONDS):
                return await verifier(bearer)
        except TimeoutError as error:
            raise VerificationUnavailableError from error
        except KallyAIError as error:
            _log.warning("a caller's token could not be checked: %s", error.code)
            raise VerificationUnavailableError(error.retry_after or 5) from error

    return verify, verifier.known
