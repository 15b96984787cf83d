"""The parts that a command works with: the sign-in, the API client, and the ledger."""

import importlib.util
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Self

import anyio

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.calls import storage
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.cli.output import SetupError, need_sandbox
from kallyai_mcp.clock import Clock
from kallyai_mcp.settings import Settings

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI, TokenSource
    from kallyai_mcp.auth.caller_tokens import CallerTokens
    from kallyai_mcp.auth.session import Session, StaticTokens
    from kallyai_mcp.auth.tokens import Tokens
    from kallyai_mcp.sandbox.app import SandboxApp


SIGN_IN_SECONDS = 300.0
"""How long a link to the sign-in page works."""

EMBEDDED_URL = "http://embedded-sandbox.invalid"
"""The base URL of the embedded sandbox's links.

Nothing serves them, so their host is a reserved name (RFC 6761).
"""


class _SandboxTokens:
    """The token source of the embedded sandbox's account, which is always signed in."""

    def __init__(self, app: "SandboxApp") -> None:
        self._app = app
        self._token = ""

    async def current(self) -> "Tokens":
        """The account's tokens."""
        from kallyai_mcp.auth.tokens import Tokens

        return Tokens.of(await self.access_token())

    async def access_token(self) -> str:
        """An access token for the next request."""
        return self._token or await self.renew("")

    async def renew(self, rejected: str) -> str:  # noqa: ARG002 - the sandbox accepts all that it has issued
        """A new access token."""
        self._token = self._app.state.sandbox.issue_tokens()["access_token"]
        return self._token


class Connection:
    """The parts that a command works with.

    Each is opened at its first use, once, and closed at the end. With the setting `sandbox`,
    KallyAI is a sandbox in this process; `speed` is that of its calls, and 1 that of real ones.
    With `callers`, the access token is that of the client of each HTTP request. Raises
    `CommandError` if the sandbox is not installed, and `SetupError` as `_open_database`.
    """

    def __init__(self, settings: Settings, *, speed: float = 10, callers: bool = False) -> None:
        if settings.sandbox:
            need_sandbox()
            settings = replace(settings, api_url=EMBEDDED_URL)
        self.settings = settings
        self.clock = Clock()
        self.callers = callers
        self._speed = speed
        self._api: KallyAI | None = None
        self._ledger: storage.Ledger | None = None
        if settings.database_url is not None:
            self.ledger()

    @cached_property
    def sandbox(self) -> "SandboxApp":
        """The embedded sandbox, which keeps its state in the settings' folder."""
        from kallyai_mcp.sandbox.app import create_app

        return create_app(data=self.settings.home / "sandbox.db", speed=self._speed)

    @cached_property
    def tokens(self) -> "Session | StaticTokens | CallerTokens | _SandboxTokens":
        """The source of the access tokens; raises `TokenStoreError` if the setting's token store
        can't be used.
        """
        settings = self.settings
        if settings.sandbox:
            return _SandboxTokens(self.sandbox)
        if self.callers:
            from kallyai_mcp.auth.caller_tokens import CallerTokens

            return CallerTokens(self._is_revoked)
        from kallyai_mcp.auth.session import Session, StaticTokens

        if settings.access_token is not None:
            return StaticTokens(settings.access_token)
        from kallyai_mcp.auth.token_store import TokenStore

        store = TokenStore(settings.token_store, settings.home, settings.api_url)
        return Session(
            store,
            lambda token: self.api().refresh(token),
            settings.home / "sign-in" / "renewal.lock",
        )

    @property
    def session(self) -> "Session | None":
        """The sign-in on this machine; None if the access tokens come from elsewhere."""
        from kallyai_mcp.auth.session import Session

        return self.tokens if isinstance(self.tokens, Session) else None

    async def _is_revoked(self, sign_in: str) -> bool:
        from kallyai_mcp.auth.tokens import REVOKED_SIGN_IN

        values = storage.SharedValues(self.ledger())
        return await values.get(REVOKED_SIGN_IN, sign_in) is not None

    def api(self) -> "KallyAI":
        """The API client; raises as `open_api`."""
        if self._api is None:
            app = self.sandbox if self.settings.sandbox else None
            self._api = open_api(self.settings, self.tokens, app=app)
        return self._api

    @cached_property
    def timing(self) -> Timing:
        """The times and counts of calls."""
        return Timing(self.settings)

    def ledger(self) -> storage.Ledger:
        """The ledger; raises `SetupError` as `_open_ledger`."""
        if self._ledger is None:
            policy = CallPolicy(self.settings)
            self._ledger = _open_ledger(self.settings, self.clock.now, policy, self.timing)
        return self._ledger

    async def account_key(self) -> AccountKey:
        """The account that is signed in; raises `NotSignedInError` if nobody is."""
        tokens = await self.tokens.current()
        if tokens is None:
            raise NotSignedInError(
                "Not signed in to KallyAI. `kallyai-mcp login` signs in through the browser."
            )
        return AccountKey(self.settings.api_url, tokens.account)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        with anyio.CancelScope(shield=True):
            if self._ledger is not None:
                with suppress(KallyAIError):
                    await self._ledger.database.aclose()
            if self._api is not None:
                await self._api.aclose()
            if "sandbox" in self.__dict__:
                self.sandbox.state.sandbox.close()


def open_api(
    settings: Settings,
    tokens: "TokenSource",
    *,
    app: "SandboxApp | None" = None,
    retry_backoff: float = 0.5,
) -> "KallyAI":
    """Create an API client. The HTTP library is imported only here.

    The waits between two tries are multiples of `retry_backoff`, in seconds. Raises `KallyAIError`
    (`bad_environment`) if a variable of the environment can't be used, such as a malformed proxy.
    """
    from kallyai_mcp.api.client import KallyAI

    try:
        return KallyAI(
            settings.api_url,
            tokens=tokens,
            user_agent=settings.user_agent,
            app=app,
            retry_backoff=retry_backoff,
        )
    except ValueError as error:
        raise KallyAIError(str(error), code="bad_environment") from None


def _open_ledger(
    settings: Settings, now: Callable[[], datetime], policy: CallPolicy, timing: Timing
) -> storage.Ledger:
    """The ledger in the shared database (`KALLYAI_DATABASE_URL`), or in this user's file.

    Nothing is read yet. Raises `SetupError` if the URL is not valid, or its driver is missing.
    """
    if settings.database_url is None:
        return storage.open_file(storage.ledger_file(settings.home), now, policy, timing)
    if importlib.util.find_spec("psycopg_pool") is None:
        raise SetupError("KALLYAI_DATABASE_URL needs the extra `postgres`: kallyai-mcp[postgres]")
    try:
        return storage.open_server(settings.database_url, policy, timing)
    except ValueError:
        words = "KALLYAI_DATABASE_URL is not a valid URL of a PostgreSQL database"
        raise SetupError(words) from None
