"""The parts that a command works with: credentials, API client, ledger, and secret keys."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Self

import anyio

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.calls.clock import Clock
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.cli.api_client import open_api
from kallyai_mcp.cli.credentials import Credentials, open_credentials
from kallyai_mcp.cli.embedded_sandbox import SANDBOX_SPEED, EmbeddedSandbox, create_sandbox
from kallyai_mcp.cli.ledger import create_ledger, open_database
from kallyai_mcp.common_types import REVOKED_SIGN_IN
from kallyai_mcp.settings import Settings

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI
    from kallyai_mcp.calls.ledger.base import Database
    from kallyai_mcp.calls.ledger.ledger import Ledger
    from kallyai_mcp.calls.ledger.shared_values import SharedValues
    from kallyai_mcp.cli.shared_keys import SharedKeys
    from kallyai_mcp.sandbox.app import SandboxApp


class Connection:
    """The parts that a command works with. Each is opened at its first use, once, and closed by `close`.

    Args:
        settings: The settings of this process.
        embedded: Creates a sandbox to use instead of the settings' KallyAI, with an account that is signed in.
        callers: The access token is that of the client of each HTTP request.
        now: The wall clock; None for the machine's.

    Attributes:
        settings: The settings of this process.
        sandbox: The sandbox that is used instead of the settings' KallyAI; None if there is none.
        clock: The clock of calls.
        callers: The access token is that of the client of each HTTP request.
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
        self._database: Database | None = None
        self._ledger: Ledger | None = None

    @cached_property
    def credentials(self) -> Credentials:
        """The source of the access tokens.

        Raises:
            TokenStoreError: The store of the setting `KALLYAI_TOKEN_STORE` can't be used.
        """
        return open_credentials(self.settings, sandbox=self.sandbox, callers=self.callers, is_revoked=self._is_revoked)

    async def _is_revoked(self, sign_in: str) -> bool:
        return await self.shared_state().get(REVOKED_SIGN_IN, sign_in) is not None

    def api(self) -> "KallyAI":
        """The API client.

        Raises:
            KallyAIError: A variable of the environment can't be used, such as a malformed proxy.
        """
        if self._api is None:
            self._api = open_api(self.settings, self.credentials.tokens, sandbox=self.sandbox)
        return self._api

    def ledger(self) -> "Ledger":
        """The ledger.

        Raises:
            LedgerUnavailableError: The URL of the database is not valid, or the extra `postgres` is not installed.
        """
        if self._ledger is None:
            self._ledger = create_ledger(self._open_database(), self.settings, self.clock)
        return self._ledger

    def shared_state(self) -> "SharedValues":
        """The store of what workers share besides calls, in the ledger's database.

        Raises:
            LedgerUnavailableError: See `ledger`.
        """
        from kallyai_mcp.calls.ledger.shared_values import SharedValues

        return SharedValues(self._open_database())

    @cached_property
    def keys(self) -> "SharedKeys":
        """The secret keys of the settings, or of this process."""
        from kallyai_mcp.cli.shared_keys import SharedKeys

        return SharedKeys(self.settings.secret_keys)

    async def account_key(self) -> AccountKey:
        """The account that is signed in.

        Raises:
            NotSignedInError: Nobody is signed in.
        """
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
        if self._database is not None:
            with suppress(KallyAIError):
                await self._database.aclose()
        if self.sandbox is not None:
            self.sandbox.close()

    def _open_database(self) -> "Database":
        if self._database is None:
            self._database = open_database(self.settings, self.clock.now)
        return self._database


def connect(settings: Settings, *, sandbox: bool) -> Connection:
    """The connection of a command; `sandbox` is its option, which does the same as `KALLYAI_SANDBOX`.

    Raises:
        CommandError: The sandbox's dependencies are not installed.
    """
    if not (sandbox or settings.sandbox):
        return Connection(settings)
    from kallyai_mcp.cli.sandbox import need_sandbox

    need_sandbox()
    return Connection(settings, embedded=partial(create_sandbox, settings, SANDBOX_SPEED))
