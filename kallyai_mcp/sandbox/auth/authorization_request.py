"""The authorization request in the forms of the sign-in pages: a signed, short-lived token for one browser.

The pages pass it on in a hidden field, so the server stores nothing until the end. The token contains no secret. It
contains the digest of a cookie, so that another site can't make this browser send a form that it prepared (RFC 6749,
section 10.12). A check of the Origin header can't replace this: with `Referrer-Policy: no-referrer`, browsers send
`Origin: null`.
"""

import re
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import jwt

from kallyai_mcp.sandbox.accounts import SCOPES
from kallyai_mcp.sandbox.auth.signing_keys import get_key, verify_jwt
from kallyai_mcp.sandbox.auth.tables import digest
from kallyai_mcp.sandbox.state import Sandbox

BROWSER_COOKIE = "kallyai_sandbox_browser"
REQUEST_SECONDS = 600
"""The time a user has from the first page to the last."""

_ALGORITHM = "HS256"
_ISSUER = "kallyai-sandbox-pages"
_COOKIE_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class AuthorizationRequest:
    """A program's request, and the account that was chosen.

    Attributes:
        client_id: The OAuth client; None for the CLI flow.
        account_id: The chosen account; None before that.
    """

    redirect_uri: str
    state: str | None
    client_id: str | None = None
    scopes: tuple[str, ...] = tuple(SCOPES)
    account_id: str | None = None

    @property
    def origin(self) -> str:
        """Scheme, host, and port of the redirect_uri."""
        parts = urlsplit(self.redirect_uri)
        return f"{parts.scheme}://{parts.netloc}"

    def redirect_url(self, **parameters: str | int) -> str:
        """Return the redirect_uri with `parameters` and the state (if there is one) in its query."""
        query = parameters | ({} if self.state is None else {"state": self.state})
        return f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{urlencode(query, quote_via=quote)}"


def new_browser(cookie: str | None) -> str:
    """Return the browser's cookie: the present one, so that sign-ins in two tabs both work, or a new one."""
    return cookie if cookie and _COOKIE_VALUE.fullmatch(cookie) else secrets.token_urlsafe(32)


def encode_request(sandbox: Sandbox, authorization: AuthorizationRequest, browser: str) -> str:
    """Return the token of a request; it is valid for `REQUEST_SECONDS` and for the same `browser` cookie."""
    now = int(sandbox.clock.now().timestamp())
    claims: dict[str, Any] = {
        "iss": _ISSUER,
        "iat": now,
        "exp": now + REQUEST_SECONDS,
        "browser": digest(browser).hex(),
        "redirect_uri": authorization.redirect_uri,
        "state": authorization.state,
        "client_id": authorization.client_id,
        "scopes": authorization.scopes,
        "account_id": authorization.account_id,
    }
    return jwt.encode(claims, get_key(sandbox, "pages"), _ALGORITHM)


def decode_request(sandbox: Sandbox, request_token: str, browser: str | None) -> AuthorizationRequest | None:
    """Return the request of a token; None if the token is not valid, has expired, or is for another browser."""
    claims = verify_jwt(request_token, get_key(sandbox, "pages"), _ALGORITHM, issuer=_ISSUER)
    if (
        claims is None
        or claims["exp"] <= sandbox.clock.now().timestamp()
        or claims["browser"] != digest(browser or "").hex()
    ):
        return None
    return AuthorizationRequest(
        redirect_uri=claims["redirect_uri"],
        state=claims["state"],
        client_id=claims["client_id"],
        scopes=tuple(claims["scopes"]),
        account_id=claims["account_id"],
    )
