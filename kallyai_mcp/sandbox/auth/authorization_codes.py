"""Authorization codes: good once, for a minute, for one client and one redirect_uri (RFC 6749, section 4.1.2)."""

import secrets
from collections.abc import Iterable

from kallyai_mcp.sandbox.auth import token_families
from kallyai_mcp.sandbox.auth.context import SandboxState, epoch
from kallyai_mcp.sandbox.auth.tables import digest
from kallyai_mcp.sandbox.auth.token_families import Family, GrantRefusedError

CODE_SECONDS = 60
_REMEMBERED_SECONDS = 24 * 3600  # a code that comes back late still revokes what it gave


def issue_code(
    sandbox: SandboxState, *, client_id: str, redirect_uri: str, account_id: str, scopes: Iterable[str]
) -> str:
    """A new code for what the account's owner has just allowed."""
    code, now = secrets.token_urlsafe(32), epoch(sandbox)
    with sandbox.store.transaction() as db:
        db.execute("DELETE FROM auth_codes WHERE expires_at <= ?", (now - _REMEMBERED_SECONDS,))
        db.execute(
            "INSERT INTO auth_codes (hash, client_id, redirect_uri, account_id, scope, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (digest(code), client_id, redirect_uri, account_id, " ".join(scopes), now + CODE_SECONDS),
        )
    return code


def redeem(sandbox: SandboxState, code: str, client_id: str, redirect_uri: str) -> tuple[Family, str]:
    """Use up a code: the family it starts, and its first refresh token.

    Args:
        sandbox: Whose database and clock.
        code: The code, from anyone.
        client_id: The client that has proved who it is.
        redirect_uri: Must be, character by character, the one the code was sent to.

    Raises:
        GrantRefusedError: The code is unknown, expired, another client's or another redirect_uri's, or was used before;
            in the last case everything it gave is revoked.
    """
    now, key = epoch(sandbox), digest(code)
    with sandbox.store.transaction() as db:
        row = db.execute("SELECT * FROM auth_codes WHERE hash = ?", (key,)).fetchone()
        if row is None or row["client_id"] != client_id:
            why_not = "the code is unknown"
        elif row["family"] is not None:
            why_not = "the code was used before, so what it gave is revoked"
            token_families.revoke(db, row["family"])
        elif row["redirect_uri"] != redirect_uri:
            why_not = "redirect_uri is not the one that the code was sent to"
        elif row["expires_at"] <= now:
            why_not = "the code has expired"
        else:
            family, refresh_token = token_families.start(db, now, row["account_id"], client_id, row["scope"])
            db.execute("UPDATE auth_codes SET family = ? WHERE hash = ?", (family.id, key))
            return family, refresh_token
    raise GrantRefusedError(why_not)  # outside of the transaction, which must not roll the revocation back
