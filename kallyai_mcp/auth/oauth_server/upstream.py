"""This server as an OAuth client of KallyAI (the reference's "OAuth2 Authorization Code Flow")."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI
    from kallyai_mcp.api.models import TokenGrant


@dataclass(frozen=True, repr=False)
class Upstream:
    """The OAuth client that is registered at KallyAI for this server.

    Attributes:
        api: Returns the API client.
        client_id: The id of the client.
        client_secret: The secret of the client.
        redirect_uri: The URL where KallyAI sends browsers back.
    """

    api: "Callable[[], KallyAI]"
    client_id: str
    client_secret: str
    redirect_uri: str

    def authorize_url(self, state: str, scopes: Iterable[str]) -> str:
        """The URL of the page where a user signs in and allows this server to act for them.

        Args:
            state: A text that the redirect repeats.
            scopes: The scopes to ask for.
        """
        api = self.api()
        return api.authorize_url(api.base_url, self.client_id, self.redirect_uri, state=state, scope=" ".join(scopes))

    async def exchange(self, code: str) -> "TokenGrant":
        """The tokens for KallyAI's code; raises the errors of the API client."""
        return await self.api().exchange_code(code, self.redirect_uri, self.client_id, self.client_secret)

    async def refresh(self, refresh_token: str) -> "TokenGrant":
        """The new tokens for KallyAI's refresh token; raises the errors of the API client."""
        return await self.api().refresh_code(refresh_token, self.client_id, self.client_secret)
