"""Authorization codes: valid once, for a minute, for one client and one redirect_uri (RFC 6749, section 4.1.2)."""

import secrets
from collections.abc import Iterable

from kallyai_mcp.sandbox.auth import token_families
from kallyai_mcp.sandbox.auth.tables import digest
from kallyai_mcp.sandbox.auth.token_families import Family, GrantRefusedError
from kallyai_mcp.sandbox.state import Sandbox

CODE_SECONDS = 60
_RETENTION_SECONDS = 24 * 3600  # a second use within this time revokes the code's tokens


def issue_code(sandbox: Sandbox, *, client_id: str, redirect_uri: str, account_id: str, scopes: Iterable[str]) -> str:
    """Create a code for the scopes that the user has allowed."""
    code, now = secrets.token_urlsafe(32), sandbox.clock.now().timestamp()
    with sandbox.store.transaction() as db:
        db.execute("DELETE FROM auth_codes WHERE expires_at <= ?", (now - _RETENTION_SECONDS,))
        db.execute(
            "INSERT INTO auth_codes (hash, client_id, redirect_uri, account_id, scope, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (digest(code), client_id, redirect_uri, account_id, " ".join(scopes), now + CODE_SECONDS),
        )
    return code


def redeem(sandbox: Sandbox, code: str, client_id: str, redirect_uri: str) -> tuple[Family, str]:
    """Exchange a code for a new token family and its first refresh token.

    Args:
        sandbox: The sandbox.
        code: The code, not trusted.
        client_id: The authenticated client.
        redirect_uri: Must be exactly the URI that the code was sent to.

    Raises:
        GrantRefusedError: The code is unknown, expired, for another client or redirect_uri, or was used before; in the
            last case its tokens are revoked.
    """
    now, key = sandbox.clock.now().timestamp(), digest(code)
    with sandbox.store.transaction() as db:
        row = db.execute("SELECT * FROM auth_codes WHERE hash = ?", (key,)).fetchone()
        if row is None or row["client_id"] != client_id:
            reason = "the code is unknown"
        elif row["family"] is not None:
            reason = "the code was used before, so its tokens are revoked"
            token_families.revoke(db, row["family"])
        elif row["redirect_uri"] != redirect_uri:
            reason = "redirect_uri is not the one that the code was sent to"
        elif row["expires_at"] <= now:
            reason = "the code has expired"
        else:
            family, refresh_token = token_families.start(db, now, row["account_id"], client_id, row["scope"])
            db.execute("UPDATE auth_codes SET family = ? WHERE hash = ?", (family.id, key))
            return family, refresh_token
    raise GrantRefusedError(reason)  # outside of the transaction, so that the revocation is committed
