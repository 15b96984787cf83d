"""Codes and refresh tokens with their sealed content, and what is read from it."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from mcp.server.auth import provider as sdk
from mcp.shared.auth import OAuthClientInformationFull as Client
from pydantic import Field

if TYPE_CHECKING:
    from kallyai_mcp.api.models import TokenGrant


class Code(sdk.AuthorizationCode):
    """A code with its sealed `content`. The SDK checks the verifier and the redirect URI."""

    content: dict[str, Any] = Field(repr=False)


class RefreshToken(sdk.RefreshToken):
    """A refresh token with its sealed `content`; for a revocation, also an access token."""

    content: dict[str, Any] = Field(repr=False)


def granted_of(scopes: Sequence[str], grant: "TokenGrant") -> Sequence[str]:
    """Those scopes that KallyAI granted: all, if it does not say which."""
    if grant.scope is None:
        return scopes
    named = grant.scope.split()
    return [scope for scope in scopes if scope in named]


def browser_of(used: Mapping[str, Any]) -> str:
    """What names the browser of a sign-in; nothing in tokens of earlier builds."""
    return str(used.get("browser", ""))


def key_of(client: Client) -> str:
    """A digest of the client_id, for sealed content: the client_id of a registered client is
    long.
    """
    return digest(client.client_id)


def digest(client_id: str) -> str:
    """The digest of a client_id, as `key_of` makes it."""
    return sha256(client_id.encode()).hexdigest()[:32]
