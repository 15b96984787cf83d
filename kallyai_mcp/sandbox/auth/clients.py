"""The sandbox's OAuth clients.

Their secrets are public, since they are valid in the sandbox only.
"""

import hmac
import re
from dataclasses import dataclass, field

from kallyai_mcp.sandbox.auth.tokens import digest

# Regular expressions, so that our parser and the browser's can't read one URL differently. No IPv6,
# since form-action in a Content-Security-Policy can't name an IPv6 address.
_LOOPBACK = re.compile(
    r"https?://(?:localhost|127\.0\.0\.1)(?::(?P<port>[0-9]{1,5}))?(?:[/?][A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
)
_CLI_REDIRECT = re.compile(r"http://(?:localhost|127\.0\.0\.1):(?P<port>[0-9]{1,5})/?")


@dataclass(frozen=True)
class OAuthClient:
    """An OAuth client and its redirect URIs; with `any_loopback`, any URL of `localhost` or
    `127.0.0.1`, too.
    """

    id: str
    secret: str = field(repr=False)
    name: str
    redirect_uris: frozenset[str]
    any_loopback: bool = False

    def may_redirect_to(self, uri: str) -> bool:
        """Whether `uri` is registered."""
        if uri in self.redirect_uris:
            return True
        return self.any_loopback and _matches(_LOOPBACK, uri)


CLIENTS: dict[str, OAuthClient] = {
    client.id: client
    for client in (
        OAuthClient(
            "sandbox-client",
            "sandbox-secret",
            "Sandbox Client",
            frozenset({"https://client.example/oauth/callback"}),
            any_loopback=True,
        ),
        OAuthClient(
            "sandbox-partner",
            "partner-secret",
            "Sandbox Partner",
            frozenset({"https://partner.example/callback", "http://127.0.0.1:8765/callback"}),
        ),
    )
}
"""The clients by id."""


def authenticate(client_id: str, client_secret: str) -> OAuthClient | None:
    """Return the client with this id and secret, or None."""
    client = CLIENTS.get(client_id)
    if client is None:
        return None
    is_its_secret = hmac.compare_digest(digest(client.secret), digest(client_secret))
    return client if is_its_secret else None


def is_cli_redirect(uri: str) -> bool:
    """Whether the CLI flow allows `uri`: `http://localhost:PORT` or `http://127.0.0.1:PORT`,
    optionally with a `/`.
    """
    return _matches(_CLI_REDIRECT, uri)


def _matches(pattern: re.Pattern[str], uri: str) -> bool:
    match = pattern.fullmatch(uri)
    if match is None:
        return False
    port = int(match["port"] or 80)
    return 0 < port < 65536
