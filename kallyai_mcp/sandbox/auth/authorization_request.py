"""A sign-in on its way through the pages: the whole authorization request, signed, bound to one browser, short-lived.

The pages hand it on in a hidden field, so nothing is kept until the end and nothing in a form is believed unsigned.
It holds no secret. What binds it to the browser is a cookie whose digest is in it: a form that another site prepared
and had this browser send doesn't fit (RFC 6749, section 10.12). The Origin header could not do that: under
`Referrer-Policy: no-referrer` browsers send it as `null`.
"""

import re
import secrets
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

import jwt

from kallyai_mcp.sandbox.accounts import SCOPES
from kallyai_mcp.sandbox.auth.context import SandboxState, epoch
from kallyai_mcp.sandbox.auth.signing_keys import get_key, verify_jwt
from kallyai_mcp.sandbox.auth.tables import digest

BROWSER_COOKIE = "kallyai_sandbox_browser"
SEALED_SECONDS = 600
"""How long someone may take from the first page to the last."""

_ALGORITHM = "HS256"
_ISSUER = "kallyai-sandbox-pages"
_COOKIE_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class AuthorizationRequest:
    """What a program asked for, and who has signed in for it so far.

    `client_id` is None for the CLI flow; `account_id` is None until an account was chosen.
    """

    redirect_uri: str
    state: str | None
    client_id: str | None = None
    scopes: tuple[str, ...] = tuple(SCOPES)
    account_id: str | None = None

    @property
    def origin(self) -> str:
        """Scheme, host and port that the browser is sent back to."""
        parts = urlsplit(self.redirect_uri)
        return f"{parts.scheme}://{parts.netloc}"

    def signed_in_as(self, account_id: str) -> Self:
        """The same request, after an account was chosen."""
        return replace(self, account_id=account_id)

    def answer(self, **parameters: str | int) -> str:
        """The redirect_uri with `parameters` and, if there was one, the state in its query."""
        query = parameters | ({} if self.state is None else {"state": self.state})
        return f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{urlencode(query, quote_via=quote)}"


def new_browser(cookie: str | None) -> str:
    """The browser's cookie: the one it has, so that a second tab doesn't end the first one's sign-in, or a new one."""
    return cookie if cookie and _COOKIE_VALUE.fullmatch(cookie) else secrets.token_urlsafe(32)


def seal(sandbox: SandboxState, asked: AuthorizationRequest, browser: str) -> str:
    """The request in a form's hidden field, to be opened within `SEALED_SECONDS` for the same `browser` cookie."""
    now = int(epoch(sandbox))
    claims: dict[str, Any] = {
        "iss": _ISSUER,
        "iat": now,
        "exp": now + SEALED_SECONDS,
        "browser": digest(browser).hex(),
        "redirect_uri": asked.redirect_uri,
        "state": asked.state,
        "client_id": asked.client_id,
        "scopes": asked.scopes,
        "account_id": asked.account_id,
    }
    return jwt.encode(claims, get_key(sandbox, "pages"), _ALGORITHM)


def unseal(sandbox: SandboxState, sealed: str, browser: str | None) -> AuthorizationRequest | None:
    """The request that `seal` made; None when it was tampered with, is too old, or belongs to another browser."""
    claims = verify_jwt(sealed, get_key(sandbox, "pages"), _ALGORITHM, issuer=_ISSUER)
    if claims is None or claims["exp"] <= epoch(sandbox) or claims["browser"] != digest(browser or "").hex():
        return None
    return AuthorizationRequest(
        redirect_uri=claims["redirect_uri"],
        state=claims["state"],
        client_id=claims["client_id"],
        scopes=tuple(claims["scopes"]),
        account_id=claims["account_id"],
    )
