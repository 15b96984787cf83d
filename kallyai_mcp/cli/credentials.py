"""Chooses the source of the access tokens by the settings."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kallyai_mcp.cli.api_client import open_api
from kallyai_mcp.cli.embedded_sandbox import EmbeddedSandbox
from kallyai_mcp.settings import Settings

if TYPE_CHECKING:
    from kallyai_mcp.api.client import TokenSource
    from kallyai_mcp.api.models import TokenGrant
    from kallyai_mcp.auth.session import Session
    from kallyai_mcp.auth.token_store import TokenStore
    from kallyai_mcp.auth.tokens import Tokens

    class CurrentTokens(TokenSource, Protocol):
        """A token source of the API client that also returns the tokens and their account."""

        async def current(self) -> Tokens | None:
            """The current tokens; None when nobody is signed in."""
            ...


@dataclass(frozen=True)
class Credentials:
    """The token source, and the sign-in on this machine if the tokens come from it.

    Attributes:
        tokens: The token source.
        session: The sign-in on this machine; None when the tokens come from elsewhere.
        store: The store of that sign-in; None when the tokens come from elsewhere.
    """

    tokens: "CurrentTokens"
    session: "Session | None" = None
    store: "TokenStore | None" = None

    def describe_store(self) -> str:
        """The place of the tokens, for display: a path, the name of a keyring, or the name of a setting."""
        return self.store.describe() if self.store is not None else "KALLYAI_ACCESS_TOKEN"


def open_credentials(
    settings: Settings,
    *,
    sandbox: EmbeddedSandbox | None = None,
    callers: bool = False,
    is_revoked: Callable[[str], Awaitable[bool]] | None = None,
) -> Credentials:
    """Choose the token source.

    Args:
        settings: The access token, or the kind and the folder of the token store.
        sandbox: Use the account of this sandbox.
        callers: Use the access token of each HTTP request.
        is_revoked: Returns whether the sign-in of a request's token was revoked here.

    Raises:
        TokenStoreError: The store of the setting `KALLYAI_TOKEN_STORE` can't be used.
    """
    if sandbox is not None:
        return Credentials(sandbox)
    if callers:
        from kallyai_mcp.auth.caller_tokens import CallerTokens

        return Credentials(CallerTokens(is_revoked))
    from kallyai_mcp.auth.session import Session, StaticTokens

    if settings.access_token is not None:
        return Credentials(StaticTokens(settings.access_token))
    from kallyai_mcp.auth.token_store import open_store

    async def refresh(refresh_token: str) -> "TokenGrant":
        return await open_api(settings).refresh(refresh_token)

    store = open_store(settings.token_store, settings.home, settings.api_url)
    session = Session(store, refresh, settings.home / "sign-in" / "renewal.lock")
    return Credentials(session, session, store)
