"""Puts the parts together: one KallyAI, live or sandbox, and whoever is signed in there."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import anyio
from anyio.abc import TaskGroup

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.calls.service import CallService
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.confirmations import Confirmations
from kallyai_mcp.tools.context import AppContext, SignedIn, SignInLink

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI
    from kallyai_mcp.api.models import TokenGrant
    from kallyai_mcp.auth.session import Session
    from kallyai_mcp.auth.sign_in import SignIn
    from kallyai_mcp.auth.token_store import TokenStore
    from kallyai_mcp.auth.tokens import Tokens
    from kallyai_mcp.calls.ledger.base import Ledger
    from kallyai_mcp.cli.shared_keys import Keys
    from kallyai_mcp.sandbox.app import SandboxApp
    from kallyai_mcp.sandbox.state import Sandbox


EMBEDDED_URL = "http://embedded-sandbox.invalid"
"""What the embedded sandbox calls itself in links: nothing listens for it, so the name is one that leads nowhere."""


class Credentials(Protocol):
    """A source of tokens that can say whose they are."""

    async def access_token(self) -> str:
        """A token for the next request."""
        ...

    async def renew(self, rejected: str) -> str:
        """A token other than `rejected`."""
        ...

    async def current(self) -> "Tokens | None":
        """The tokens as they are now; None when nobody is signed in."""
        ...


class Connection:
    """The API client and the sign-in that the settings lead to; both made when they are first needed.

    Args:
        settings: Which KallyAI, and how one signs in there.
        embedded: Makes the sandbox to use, in this process, in place of the settings' API; signed in already.
        callers: Each request brings the access token of its caller.
    """

    def __init__(
        self, settings: Settings, *, embedded: "Callable[[], SandboxApp] | None" = None, callers: bool = False
    ) -> None:
        self.settings = settings
        self._embedded = embedded
        self.embedded = embedded is not None
        self._api: KallyAI | None = None
        self._callers = callers
        self._app: SandboxApp | None = None

    @cached_property
    def store(self) -> "TokenStore | None":
        """Where the sign-in is kept; None where tokens come from elsewhere."""
        if self.embedded or self._callers or self.settings.access_token is not None:
            return None
        from kallyai_mcp.auth.token_store import open_store

        return open_store(self.settings.token_store, self.settings.home, self.settings.api_url)

    @cached_property
    def session(self) -> "Session | None":
        """The sign-in that is kept; None where tokens come from elsewhere."""
        if self.store is None:
            return None
        from kallyai_mcp.auth.session import Session

        return Session(self.store, self._refresh, self.settings.home / "sign-in" / "renewal.lock")

    @cached_property
    def credentials(self) -> Credentials:
        """Where tokens come from."""
        if self.embedded:
            return _EmbeddedTokens(lambda: self._sandbox().state.sandbox)
        if self._callers:
            from kallyai_mcp.auth.caller_tokens import CallerTokens

            return CallerTokens()
        if self.settings.access_token is not None:
            from kallyai_mcp.auth.session import StaticTokens

            return StaticTokens(self.settings.access_token)
        assert self.session is not None  # noqa: S101 - there is one where none of the others is
        return self.session

    def api(self) -> "KallyAI":
        """The API client; httpx is imported when it is first asked for.

        Raises:
            KallyAIError: The environment, such as its proxy, lets none be made.
        """
        if self._api is None:
            from kallyai_mcp.api.client import KallyAI

            app = self._sandbox() if self._embedded else None
            try:
                self._api = KallyAI(
                    self.settings.api_url if app is None else EMBEDDED_URL,
                    tokens=self.credentials,
                    user_agent=self.settings.user_agent,
                    app=app,
                )
            except ValueError as error:  # such as a proxy of the environment that can't be used
                raise KallyAIError(str(error), code="bad_environment") from None
        return self._api

    async def scope(self) -> AccountKey:
        """Whose calls are placed now.

        Raises:
            NotSignedInError: Nobody is signed in.
        """
        tokens = await self.credentials.current()
        if tokens is None:
            raise NotSignedInError("Not signed in to KallyAI. `kallyai-mcp login` signs in through the browser.")
        return AccountKey(EMBEDDED_URL if self.embedded else self.settings.api_url, tokens.account)

    def ledger(self) -> "Ledger":
        """The ledger: what all workers share in Redis, or else this user's file."""
        if self.settings.redis_url is not None:
            from kallyai_mcp.calls.ledger.redis_ledger import RedisLedger

            return RedisLedger(self.settings.redis_url, keep=timedelta(days=self.settings.keep_days + 1))
        from kallyai_mcp.calls.ledger.sqlite import SqliteLedger

        return SqliteLedger(self.settings.home / "ledger.db")

    @cached_property
    def keys(self) -> "Keys":
        """The secret keys of this process, or those that it shares with other workers."""
        from kallyai_mcp.auth.oauth_server.sealed_tokens import keys_from
        from kallyai_mcp.cli.shared_keys import Keys

        given = self.settings.secret_keys
        return Keys(self.settings.redis_url, keys_from(given) if given is not None else ())

    def sign_in_url(self, redirect_uri: str, state: str) -> str:
        """Where the user signs in (the reference's "CLI Authentication", step 1)."""
        from kallyai_mcp.api.client import KallyAI

        return KallyAI.cli_auth_url(self.settings.api_url, redirect_uri, state)

    async def close(self) -> None:
        """Close what was opened."""
        if self._api is not None:
            await self._api.aclose()
        if self._app is not None:
            self._app.state.sandbox.close()

    def _sandbox(self) -> "SandboxApp":
        if self._app is None:
            assert self._embedded is not None  # noqa: S101 - only asked where there is one
            self._app = self._embedded()
        return self._app

    async def _refresh(self, refresh_token: str) -> "TokenGrant":
        return await self.api().refresh(refresh_token)


class _EmbeddedTokens:
    """The embedded sandbox's own account, always signed in."""

    def __init__(self, sandbox: "Callable[[], Sandbox]") -> None:
        self._sandbox = sandbox
        self._tokens: Tokens | None = None

    async def current(self) -> "Tokens":
        if self._tokens is None:
            from kallyai_mcp.api.models import TokenGrant
            from kallyai_mcp.auth.tokens import Tokens

            grant = TokenGrant.model_validate(self._sandbox().issue_tokens())
            self._tokens = Tokens.from_grant(grant, datetime.now(UTC).timestamp())
        return self._tokens

    async def access_token(self) -> str:
        return (await self.current()).access_token.get_secret_value()

    async def renew(self, rejected: str) -> str:
        if self._tokens is not None and self._tokens.access_token.get_secret_value() == rejected:
            self._tokens = None
        return await self.access_token()


class _SignInService:
    """The tools' reception: who is signed in, and a link for whoever is not."""

    def __init__(self, connection: Connection, tasks: TaskGroup, *, links: bool) -> None:
        self._connection = connection
        self._tasks = tasks
        self._links = links
        self._sign_in: SignIn | None = None

    async def signed_in(self) -> SignedIn | None:
        tokens = await self._connection.credentials.current()
        return SignedIn(tokens.who) if tokens is not None else None

    async def account(self) -> str:
        return (await self._connection.scope()).account

    async def arrived(self, seconds: float) -> bool:
        if self._sign_in is None:
            return False
        return await self._sign_in.arrived(seconds)

    async def link(self) -> SignInLink | None:
        session = self._connection.session
        if session is None or not self._links:
            return None
        if self._sign_in is None:
            from kallyai_mcp.auth.sign_in import SignIn  # late: whoever is signed in needs no listener

            self._sign_in = SignIn(session, self._connection.sign_in_url, self._tasks)
        pending = await self._sign_in.begin()
        left = pending.expires_at - datetime.now(UTC).timestamp()
        return SignInLink(pending.link, max(1, round(left / 60)))


@asynccontextmanager
async def open_app_context(
    connection: Connection,
    *,
    now: Callable[[], datetime] | None = None,
    timezone: str | None = None,
    links: bool = True,
) -> AsyncIterator[AppContext]:
    """What the tools work with, for as long as a server runs.

    Args:
        connection: Which KallyAI; closed at the end.
        now: The clock; None for the machine's.
        timezone: The user's IANA time zone; None for the machine's.
        links: The user sits at this machine, so a sign-in link that leads back to it is of use.
    """
    now = now or (lambda: datetime.now(UTC))
    settings = connection.settings
    try:
        async with anyio.create_task_group() as tasks:
            rules = Timing(
                recent=settings.same_call_seconds, settle=settings.settle_seconds, keep_days=settings.keep_days
            )
            guards = call_policy(settings)
            async with CallService(
                connection.api, connection.scope, connection.ledger, rules=rules, guards=guards, now=now
            ) as calls:
                yield AppContext(
                    api=connection.api,
                    calls=calls,
                    sign_in=_SignInService(connection, tasks, links=links),
                    timezone=timezone or local_timezone(),
                    wait_seconds=settings.wait_seconds,
                    now=now,
                    confirmations=Confirmations(lambda: connection.keys()),
                    # On the embedded sandbox nobody is rung, and a call should end as its number says at any hour.
                    confirm=settings.confirm or ("never" if connection.embedded else "auto"),
                    embedded=connection.embedded,
                )
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await connection.close()


def call_policy(settings: Settings) -> CallPolicy:
    """What the settings let be rung."""
    return CallPolicy(
        confirm=settings.confirm or "auto",
        calls_per_hour=settings.calls_per_hour,
        calls_per_day=settings.calls_per_day,
        calls_per_number=settings.calls_per_number,
        allowed=settings.allow_numbers,
        denied=settings.deny_numbers,
        stopped=settings.stop_calls,
    )


def local_timezone() -> str:
    """The IANA name of this machine's time zone; "UTC" when the machine doesn't say."""
    import tzlocal

    try:
        return tzlocal.get_localzone_name() or "UTC"
    except (ValueError, OSError, LookupError):  # what tzlocal raises for settings that contradict each other
        return "UTC"
