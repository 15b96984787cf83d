"""Token families: all that came out of one sign-in, so that it can be revoked as one.

A refresh token works once and names its successor's family. A second use of one means that two parties hold it, and
since nobody can tell which is the thief, the whole family is revoked, access tokens included (RFC 9700, section
4.14.2). There is no grace: of two uses at the same moment the second revokes.
"""

import secrets
import sqlite3
from dataclasses import dataclass

from kallyai_mcp.sandbox.auth.context import SandboxState, epoch
from kallyai_mcp.sandbox.auth.tables import digest

REFRESH_TOKEN_SECONDS = 90 * 24 * 3600
"""A refresh token that nobody used for so long is worth nothing."""


@dataclass(frozen=True)
class Family:
    """What was granted: to which client (None: to a first-party program), for which account, with which scopes."""

    id: str
    account_id: str
    client_id: str | None
    scope: str


class GrantRefusedError(Exception):
    """A code or refresh token that isn't honoured; the message says why, without any part of it."""


def start(db: sqlite3.Connection, now: float, account_id: str, client_id: str | None, scope: str) -> tuple[Family, str]:
    """A new family and its first refresh token, within the caller's transaction.

    Args:
        db: The open transaction.
        now: Seconds since 1970.
        account_id: Whose account.
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


def rotate(sandbox: SandboxState, refresh_token: str, client_id: str | None) -> tuple[Family, str]:
    """Use up a refresh token: its family, and the token that follows it.

    Args:
        sandbox: Whose database and clock.
        refresh_token: The token, from anyone.
        client_id: The client that has proved who it is; None for a first-party program.

    Raises:
        GrantRefusedError: The token is unknown, expired, revoked, another client's, or was used before.
    """
    now, key = epoch(sandbox), digest(refresh_token)
    with sandbox.store.transaction() as db:
        row = db.execute(
            "SELECT f.*, t.expires_at, t.used FROM auth_refresh_tokens t JOIN auth_families f ON f.id = t.family"
            " WHERE t.hash = ?",
            (key,),
        ).fetchone()
        why_not = _why_not(row, now, client_id)
        if why_not is None:
            db.execute("UPDATE auth_refresh_tokens SET used = 1 WHERE hash = ?", (key,))
            family = Family(row["id"], row["account_id"], row["client_id"], row["scope"])
            return family, _add_refresh_token(db, now, family.id)
        if row is not None and row["client_id"] == client_id and row["used"]:
            revoke(db, row["id"])
    raise GrantRefusedError(why_not)  # outside of the transaction, which must not roll the revocation back


def revoke(db: sqlite3.Connection, family_id: str) -> None:
    """Make every token of the family worthless, within the caller's transaction."""
    db.execute("UPDATE auth_families SET revoked = 1 WHERE id = ?", (family_id,))


def is_live(sandbox: SandboxState, family_id: str) -> bool:
    """Whether the tokens of the family still count."""
    with sandbox.store.transaction() as db:
        return (
            db.execute("SELECT 1 FROM auth_families WHERE id = ? AND revoked = 0", (family_id,)).fetchone() is not None
        )


def _why_not(row: sqlite3.Row | None, now: float, client_id: str | None) -> str | None:
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
