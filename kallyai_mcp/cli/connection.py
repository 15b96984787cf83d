"""The parts that a command works with: the sign-in, the API client, the ledger, and the secret keys."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, Self

import anyio

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.calls.clock import Clock
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.cli.embedded_sandbox import EmbeddedSandbox
from kallyai_mcp.cli.ledger import create_ledger, open_database
from kallyai_mcp.common_types import REVOKED_SIGN_IN
from kallyai_mcp.settings import Settings

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI, TokenSource
    from kallyai_mcp.api.models import TokenGrant
    from kallyai_mcp.auth.session import Session
    from kallyai_mcp.auth.token_store import TokenStore
    from kallyai_mcp.auth.tokens import Tokens
    from kallyai_mcp.calls.ledger.base import Database
    from kallyai_mcp.calls.ledger.ledger import Ledger
    from kallyai_mcp.calls.ledger.shared_values import SharedValues
    from kallyai_mcp.cli.shared_keys import SharedKeys
    from kallyai_mcp.sandbox.app import SandboxApp

    class CurrentTokens(TokenSource, Protocol):
        """A token source of the API client that also returns the tokens and their account."""

        async def current(self) -> Tokens | None:
            """The current tokens; None when nobody is signed in."""
            ...


SANDBOX_SPEED = 10.0
"""The speed of the calls of commands on the embedded sandbox; 1 is that of real calls."""


@dataclass(frozen=True)
class Credentials:
    """Where access tokens come from. `session` and `store` are None unless it is the sign-in on this machine."""

    tokens: "CurrentTokens"
    session: "Session | None" = None
    store: "TokenStore | None" = None

    def describe_store(self) -> str:
        """The place of the tokens, for display: a path, the name of a keyring, or the name of a setting."""
        return self.store.describe() if self.store is not None else "KALLYAI_ACCESS_TOKEN"


class Connection:
    """The parts that a command works with. Each is opened at its first use, once, and closed by `close`.

    Args:
        settings: The settings of this process.
        embedded: Creates a sandbox to use instead of the settings' KallyAI, with an account that is signed in.
        callers: The access token is that of the client of each HTTP request.
        now: The wall clock; None for the machine's.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        embedded: "Callable[[], SandboxApp] | None" = None,
        callers: bool = False,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self.settings = settings
        self.sandbox = EmbeddedSandbox(embedded) if embedded is not None else None
        self.clock = Clock(now)
        self.callers = callers
        self._api: KallyAI | None = None
        self._ledger: Ledger | None = None

    @cached_property
    def credentials(self) -> Credentials:
        """The source of the access tokens; raises `TokenStoreError` if the setting's token store can't be used."""
        if self.sandbox is not None:
            return Credentials(self.sandbox)
        if self.callers:
            from kallyai_mcp.auth.caller_tokens import CallerTokens

            return Credentials(CallerTokens(self._is_revoked))
        from kallyai_mcp.auth.session import Session, StaticTokens

        settings = self.settings
        if settings.access_token is not None:
            return Credentials(StaticTokens(settings.access_token))
        from kallyai_mcp.auth.token_store import open_store

        async def refresh(refresh_token: str) -> "TokenGrant":
            return await open_api(settings).refresh(refresh_token)

        store = open_store(settings.token_store, settings.home, settings.api_url)
        session = Session(store, refresh, settings.home / "sign-in" / "renewal.lock")
        return Credentials(session, session, store)

    async def _is_revoked(self, sign_in: str) -> bool:
        return await self.shared_state().get(REVOKED_SIGN_IN, sign_in) is not None

    def api(self) -> "KallyAI":
        """The API client; raises as `open_api`."""
        if self._api is None:
            self._api = open_api(self.settings, self.credentials.tokens, sandbox=self.sandbox)
        return self._api

    @cached_property
    def _database(self) -> "Database":
        return open_database(self.settings, self.clock.now)

    def ledger(self) -> "Ledger":
        """The ledger; raises `LedgerUnavailableError` if the database's URL is not valid, or its driver is missing."""
        if self._ledger is None:
            self._ledger = create_ledger(self._database, self.settings, self.clock)
        return self._ledger

    def shared_state(self) -> "SharedValues":
        """The store of what workers share besides calls, in the ledger's database; raises as `ledger`."""
        from kallyai_mcp.calls.ledger.shared_values import SharedValues

        return SharedValues(self._database)

    @cached_property
    def keys(self) -> "SharedKeys":
        """The secret keys of the settings, or of this process."""
        from kallyai_mcp.cli.shared_keys import SharedKeys

        return SharedKeys(self.settings.secret_keys)

    async def account_key(self) -> AccountKey:
        """The account that is signed in; raises `NotSignedInError` if nobody is."""
        tokens = await self.credentials.tokens.current()
        if tokens is None:
            raise NotSignedInError("Not signed in to KallyAI. `kallyai-mcp login` signs in through the browser.")
        return AccountKey(self.settings.api_url if self.sandbox is None else self.sandbox.URL, tokens.account)

    def sign_in_url(self, redirect_uri: str, state: str) -> str:
        """The page on which the user signs in (the reference's "CLI Authentication", step 1)."""
        from kallyai_mcp.api.client import KallyAI

        return KallyAI.cli_auth_url(self.settings.api_url, redirect_uri, state)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        with anyio.CancelScope(shield=True):
            await self.close()

    async def close(self) -> None:
        """Close the parts that were opened."""
        if "_database" in self.__dict__:
            with suppress(KallyAIError):
                await self._database.aclose()
        if self.sandbox is not None:
            self.sandbox.close()


def connect(settings: Settings, *, sandbox: bool, speed: float = SANDBOX_SPEED, callers: bool = False) -> Connection:
    """The connection of a command; with `sandbox`, or `KALLYAI_SANDBOX`, to the embedded sandbox, at this `speed`.

    Raises:
        CommandError: The sandbox's dependencies are not installed.
    """
    if not (sandbox or settings.sandbox):
        return Connection(settings, callers=callers)
    from kallyai_mcp.cli.sandbox import need_sandbox

    need_sandbox()

    def create() -> "SandboxApp":
        from kallyai_mcp.sandbox.app import create_app

        return create_app(data=settings.home / "sandbox.db", speed=speed)

    return Connection(settings, embedded=create, callers=callers)


def open_api(
    settings: Settings,
    tokens: "TokenSource | None" = None,
    *,
    sandbox: EmbeddedSandbox | None = None,
    retry_backoff: float = 0.5,
) -> "KallyAI":
    """Create an API client; without `tokens`, one that only signs in. The HTTP library is imported only here.

    The waits between two tries are multiples of `retry_backoff`, in seconds.

    Raises:
        KallyAIError: A variable of the environment can't be used, such as a malformed proxy (code `bad_environment`).
    """
    from kallyai_mcp.api.client import KallyAI

    try:
        return KallyAI(
            settings.api_url if sandbox is None else sandbox.URL,
            tokens=tokens,
            user_agent=settings.user_agent,
            app=None if sandbox is None else sandbox.app,
            retry_backoff=retry_backoff,
        )
    except ValueError as error:
        raise KallyAIError(str(error), code="bad_environment") from None
