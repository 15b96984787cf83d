"""Token families: all tokens of one sign-in, which are revoked together.

A refresh token works once. A second use means that two parties have it, so the whole family is revoked, including its
access tokens (RFC 9700, section 4.14.2). There is no grace period: of two uses at the same time, the second revokes.
"""

import secrets
import sqlite3
from dataclasses import dataclass

from kallyai_mcp.sandbox.auth.tables import digest
from kallyai_mcp.sandbox.state import Sandbox

REFRESH_TOKEN_SECONDS = 90 * 24 * 3600
"""A refresh token that was not used for this time has expired."""


@dataclass(frozen=True)
class Family:
    """One sign-in: its account, its client (None for a first-party program), and its space-separated scopes."""

    id: str
    account_id: str
    client_id: str | None
    scope: str


class GrantRefusedError(Exception):
    """A code or refresh token is not accepted. The message gives the reason and no part of the secret."""


def start(db: sqlite3.Connection, now: float, account_id: str, client_id: str | None, scope: str) -> tuple[Family, str]:
    """Create a family and its first refresh token in the caller's transaction.

    Args:
        db: The open transaction.
        now: Seconds since 1970.
        account_id: The account.
        client_id: The OAuth client; None for a first-party program.
        scope: Space-separated scopes.
    """
    db.execute("DELETE FROM auth_refresh_tokens WHERE expires_at <= ?", (now,))
    db.execute("DELETE FROM auth_families WHERE id NOT IN (SELECT family FROM auth_refresh_tokens)")
    family = Family(secrets.token_urlsafe(16), account_id, client_id, scope)
    db.execute(
        "INSERT INTO auth_families (id, account_id, client_id, scope) VALUES (?, ?, ?, ?)",
        (family.id, account_id, client_id, scope),
    )
    return family, _add_refresh_token(db, now, family.id)


def rotate(sandbox: Sandbox, refresh_token: str, client_id: str | None) -> tuple[Family, str]:
    """Exchange a refresh token for its family and the next refresh token.

    Args:
        sandbox: The sandbox.
        refresh_token: The token, not trusted.
        client_id: The authenticated client; None for a first-party program.

    Raises:
        GrantRefusedError: The token is unknown, expired, revoked, for another client, or was used before.
    """
    now, key = sandbox.clock.now().timestamp(), digest(refresh_token)
    with sandbox.store.transaction() as db:
        row = db.execute(
            "SELECT f.*, t.expires_at, t.used FROM auth_refresh_tokens t JOIN auth_families f ON f.id = t.family"
            " WHERE t.hash = ?",
            (key,),
        ).fetchone()
        reason = _refusal_reason(row, now, client_id)
        if reason is None:
            db.execute("UPDATE auth_refresh_tokens SET used = 1 WHERE hash = ?", (key,))
            family = Family(row["id"], row["account_id"], row["client_id"], row["scope"])
            return family, _add_refresh_token(db, now, family.id)
        if row is not None and row["client_id"] == client_id and row["used"]:
            revoke(db, row["id"])
    raise GrantRefusedError(reason)  # outside of the transaction, so that the revocation is committed


def revoke(db: sqlite3.Connection, family_id: str) -> None:
    """Revoke all tokens of the family in the caller's transaction."""
    db.execute("UPDATE auth_families SET revoked = 1 WHERE id = ?", (family_id,))


def is_valid(sandbox: Sandbox, family_id: str) -> bool:
    """Whether the family exists and is not revoked."""
    with sandbox.store.transaction() as db:
        return (
            db.execute("SELECT 1 FROM auth_families WHERE id = ? AND revoked = 0", (family_id,)).fetchone() is not None
        )


def _refusal_reason(row: sqlite3.Row | None, now: float, client_id: str | None) -> str | None:
    if row is None or row["client_id"] != client_id:
        return "the refresh token is unknown"
    if row["revoked"]:
        return "the sign-in was revoked"
    if row["used"]:
        return "the refresh token was used before, so the sign-in is revoked"
    if row["expires_at"] <= now:
        return "the refresh token has expired"
    return None


def _add_refresh_token(db: sqlite3.Connection, now: float, family_id: str) -> str:
    token = secrets.token_urlsafe(32)
    db.execute(
        "INSERT INTO auth_refresh_tokens (hash, family, expires_at) VALUES (?, ?, ?)",
        (digest(token), family_id, now + REFRESH_TOKEN_SECONDS),
    )
    return token
