"""The tokens of all sign-ins: codes, refresh tokens, and access tokens, with the keys that sign
them.

All tokens of one sign-in are a family, revoked at once. A refresh token works once. A second use
means that two parties have it, so the whole family is revoked, including its access tokens (RFC
9700, section 4.14.2). There is no grace period: of two uses at the same time, the second revokes.
Codes and refresh tokens are stored as digests only.
"""

import hashlib
import secrets
import sqlite3
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import jwt
from pydantic import BaseModel, Field

from kallyai_mcp.sandbox.accounts import ACCOUNTS, SCOPES
from kallyai_mcp.sandbox.clock import Clock
from kallyai_mcp.sandbox.store import Store

ACCESS_TOKEN_SECONDS = 3600
CODE_SECONDS = 60
REFRESH_TOKEN_SECONDS = 90 * 24 * 3600
"""A refresh token that was not used for this time has expired."""

ISSUER = "https://api.kallyai.sandbox.test"
_ALGORITHM = "HS256"
_CODE_RETENTION_SECONDS = 24 * 3600  # a second use within this time revokes the code's tokens


class TokenResponse(BaseModel):
    """The response of every token endpoint (the reference's "OAuth2 Authorization Code Flow", step
    2).
    """

    access_token: str = Field(
        repr=False, description="For the header `Authorization: Bearer …`; a signed JWT."
    )
    refresh_token: str = Field(repr=False, description="Works once: each refresh gives a new one.")
    token_type: Literal["Bearer"] = Field(
        "Bearer", description="Not in the reference; RFC 6749 requires it."
    )
    expires_in: int = Field(description="Seconds until the access token expires.")
    scope: str = Field(description="The granted scopes, space-separated.")


@dataclass(frozen=True)
class Family:
    """One sign-in: its account, its client (None for a first-party program), and its
    space-separated scopes.
    """

    id: str
    account_id: str
    client_id: str | None
    scope: str


class GrantRefusedError(Exception):
    """A code or refresh token is not accepted.

    The message gives the reason and no part of the secret.
    """


def digest(secret: str) -> bytes:
    """Return the SHA-256 digest of a secret.

    The secrets are long and random, so they need no salt or slow hash.
    """
    # JSON may contain a lone surrogate.
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


class Tokens:
    """The tokens of one sandbox."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _key(self, name: str) -> bytes:
        """Return the signing key called `name`, which is in the database, so that tokens survive a
        restart.
        """
        with self._store.transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO auth_keys VALUES (?, ?)", (name, secrets.token_bytes(32))
            )
            row = db.execute("SELECT material FROM auth_keys WHERE name = ?", (name,)).fetchone()
        return bytes(row["material"])

    def sign(self, use: str, issuer: str, seconds: int, claims: dict[str, Any]) -> str:
        """Return a JWT with `claims` that the sandbox signs with its key for this use."""
        now = int(self._now())
        return jwt.encode(
            {"iss": issuer, "iat": now, "exp": now + seconds, **claims}, self._key(use), _ALGORITHM
        )

    def verify(self, use: str, issuer: str, token: str) -> dict[str, Any] | None:
        """Return the claims of a JWT of `sign`, which may have expired; None for any other text."""
        by_our_clock: jwt.types.Options = {"verify_exp": False, "verify_iat": False}
        try:
            return jwt.decode(
                token, self._key(use), algorithms=[_ALGORITHM], options=by_our_clock, issuer=issuer
            )
        except (
            jwt.InvalidTokenError,
            ValueError,
            RecursionError,
        ):  # a lone surrogate; a thousand nested brackets
            return None

    def verify_unexpired(self, use: str, issuer: str, token: str) -> dict[str, Any] | None:
        """Return the claims of a JWT of `sign`; None also if it has expired."""
        claims = self.verify(use, issuer, token)
        if claims is None or self.has_expired(claims):
            return None
        return claims

    def has_expired(self, claims: dict[str, Any]) -> bool:
        """Whether the token with these claims has expired by the sandbox's clock."""
        return bool(claims["exp"] <= self._now())

    def respond(self, family: Family, refresh_token: str) -> TokenResponse:
        """Return the refresh token with a new access token: a JWT whose `sid` is the family."""
        claims = {
            "sub": family.account_id,
            "email": ACCOUNTS[family.account_id].email,
            "scope": family.scope,
            "jti": str(uuid.uuid4()),
            "sid": family.id,
            "client_id": family.client_id,
        }
        return TokenResponse(
            access_token=self.sign("access", ISSUER, ACCESS_TOKEN_SECONDS, claims),
            refresh_token=refresh_token,
            token_type="Bearer",  # noqa: S106 - no secret
            expires_in=ACCESS_TOKEN_SECONDS,
            scope=family.scope,
        )

    def issue(self, account_id: str, scopes: Iterable[str] | None = None) -> TokenResponse:
        """Sign an account in as a first-party program, by default with all scopes.

        Raises:
            ValueError: There is no such account or scope.
        """
        granted = tuple(SCOPES) if scopes is None else tuple(scopes)
        if account_id not in ACCOUNTS:
            raise ValueError(f"no such account: {account_id}; there are {', '.join(ACCOUNTS)}")
        if unknown := [scope for scope in granted if scope not in SCOPES]:
            raise ValueError(
                f"the scopes are {', '.join(SCOPES)}, not {', '.join(sorted(unknown))}"
            )
        with self._store.transaction() as db:
            grant = self._start(db, account_id, None, " ".join(granted))
        return self.respond(*grant)

    def issue_code(
        self, *, client_id: str, redirect_uri: str, account_id: str, scopes: Iterable[str]
    ) -> str:
        """Create a code for the scopes that the user has allowed: valid once, for `CODE_SECONDS`,
        for one client.
        """
        code = secrets.token_urlsafe(32)
        now = self._now()
        with self._store.transaction() as db:
            db.execute(
                "DELETE FROM auth_codes WHERE expires_at <= ?", (now - _CODE_RETENTION_SECONDS,)
            )
            db.execute(
                "INSERT INTO auth_codes (hash, client_id, redirect_uri, account_id, scope, "
                "expires_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    digest(code),
                    client_id,
                    redirect_uri,
                    account_id,
                    " ".join(scopes),
                    now + CODE_SECONDS,
                ),
            )
        return code

    def redeem(self, code: str, client_id: str, redirect_uri: str) -> tuple[Family, str]:
        """Exchange a code for a new token family and its first refresh token, or raise
        `GrantRefusedError`.

        A second use revokes what the first one gave.
        """
        key = digest(code)
        with self._store.transaction() as db:
            row = db.execute("SELECT * FROM auth_codes WHERE hash = ?", (key,)).fetchone()
            if row is None or row["client_id"] != client_id:
                reason = "the code is unknown"
            elif row["family"] is not None:
                reason = "the code was used before, so its tokens are revoked"
                _revoke(db, row["family"])
            elif row["redirect_uri"] != redirect_uri:
                reason = "redirect_uri is not the one that the code was sent to"
            elif row["expires_at"] <= self._now():
                reason = "the code has expired"
            else:
                family, refresh_token = self._start(db, row["account_id"], client_id, row["scope"])
                db.execute("UPDATE auth_codes SET family = ? WHERE hash = ?", (family.id, key))
                return family, refresh_token
        # Outside of the transaction, so that the revocation is committed.
        raise GrantRefusedError(reason)

    def rotate(self, refresh_token: str, client_id: str | None) -> tuple[Family, str]:
        """Exchange a refresh token for its family and the next refresh token, or raise
        `GrantRefusedError`.
        """
        key = digest(refresh_token)
        with self._store.transaction() as db:
            row = db.execute(
                "SELECT f.*, t.expires_at, t.used FROM auth_refresh_tokens t JOIN auth_families f "
                "ON f.id = t.family"
                " WHERE t.hash = ?",
                (key,),
            ).fetchone()
            if row is None or row["client_id"] != client_id:
                reason = "the refresh token is unknown"
            elif row["revoked"]:
                reason = "the sign-in was revoked"
            elif row["used"]:
                reason = "the refresh token was used before, so the sign-in is revoked"
                _revoke(db, row["id"])
            elif row["expires_at"] <= self._now():
                reason = "the refresh token has expired"
            else:
                db.execute("UPDATE auth_refresh_tokens SET used = 1 WHERE hash = ?", (key,))
                family = Family(row["id"], row["account_id"], row["client_id"], row["scope"])
                return family, self._add_refresh_token(db, family.id)
        # Outside of the transaction, so that the revocation is committed.
        raise GrantRefusedError(reason)

    def is_valid(self, family_id: str) -> bool:
        """Whether the family exists and is not revoked."""
        with self._store.transaction() as db:
            found = db.execute(
                "SELECT 1 FROM auth_families WHERE id = ? AND revoked = 0", (family_id,)
            ).fetchone()
        return found is not None

    def _start(
        self, db: sqlite3.Connection, account_id: str, client_id: str | None, scope: str
    ) -> tuple[Family, str]:
        db.execute("DELETE FROM auth_refresh_tokens WHERE expires_at <= ?", (self._now(),))
        db.execute(
            "DELETE FROM auth_families WHERE id NOT IN (SELECT family FROM auth_refresh_tokens)"
        )
        family = Family(secrets.token_urlsafe(16), account_id, client_id, scope)
        db.execute(
            "INSERT INTO auth_families (id, account_id, client_id, scope) VALUES (?, ?, ?, ?)",
            (family.id, account_id, client_id, scope),
        )
        return family, self._add_refresh_token(db, family.id)

    def _add_refresh_token(self, db: sqlite3.Connection, family_id: str) -> str:
        token = secrets.token_urlsafe(32)
        db.execute(
            "INSERT INTO auth_refresh_tokens (hash, family, expires_at) VALUES (?, ?, ?)",
            (digest(token), family_id, self._now() + REFRESH_TOKEN_SECONDS),
        )
        return token


def _revoke(db: sqlite3.Connection, family_id: str) -> None:
    db.execute("UPDATE auth_families SET revoked = 1 WHERE id = ?", (family_id,))
