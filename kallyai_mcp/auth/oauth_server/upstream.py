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
        client_id: The OAuth client's id at KallyAI.
        client_secret: Its secret.
        redirect_uri: Where KallyAI sends browsers back to.
    """

    api: "Callable[[], KallyAI]"
    client_id: str
    client_secret: str
    redirect_uri: str

    def authorize_url(self, state: str, scopes: Iterable[str]) -> str:
        """The page on which a user signs in and allows this server to act for them."""
        api = self.api()
        return api.authorize_url(api.base_url, self.client_id, self.redirect_uri, state=state, scope=" ".join(scopes))

    async def exchange(self, code: str) -> "TokenGrant":
        """The tokens for KallyAI's code; raises what the API client raises."""
        return await self.api().exchange_code(code, self.redirect_uri, self.client_id, self.client_secret)

    async def refresh(self, refresh_token: str) -> "TokenGrant":
        """The new tokens for KallyAI's refresh token; raises what the API client raises."""
        return await self.api().refresh_code(refresh_token, self.client_id, self.client_secret)
