"""The embedded sandbox: a KallyAI in this process, with one account that is always signed in."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kallyai_mcp.auth.tokens import Tokens
    from kallyai_mcp.sandbox.app import SandboxApp


class EmbeddedSandbox:
    """The sandbox app, and the token source of its account. The app is created when it is first needed."""

    URL = "http://embedded-sandbox.invalid"
    """The base URL of the sandbox's own links. Nothing serves them, so their host is a reserved name (RFC 6761)."""

    def __init__(self, create: "Callable[[], SandboxApp]") -> None:
        self._create = create
        self._tokens: Tokens | None = None

    @cached_property
    def app(self) -> "SandboxApp":
        """The ASGI app."""
        return self._create()

    async def current(self) -> "Tokens":
        """The account's tokens."""
        if self._tokens is None:
            from kallyai_mcp.api.models import TokenGrant
            from kallyai_mcp.auth.tokens import Tokens

            grant = TokenGrant.model_validate(self.app.state.sandbox.issue_tokens())
            self._tokens = Tokens.from_grant(grant, datetime.now(UTC).timestamp())
        return self._tokens

    async def access_token(self) -> str:
        """An access token for the next request."""
        return (await self.current()).access_token.get_secret_value()

    async def renew(self, rejected: str) -> str:
        """An access token other than `rejected`."""
        if self._tokens is not None and self._tokens.access_token.get_secret_value() == rejected:
            self._tokens = None
        return await self.access_token()

    def close(self) -> None:
        """Close the app, if it was created."""
        if "app" in self.__dict__:
            self.app.state.sandbox.close()
