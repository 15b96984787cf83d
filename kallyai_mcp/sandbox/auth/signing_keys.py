"""The sandbox's own keys, made on first use and kept in its database, so that tokens survive a restart."""

import secrets
from collections.abc import Callable
from typing import Any

import jwt

from kallyai_mcp.sandbox.auth.context import SandboxState


def kept_key(sandbox: SandboxState, name: str, make: Callable[[], bytes] = lambda: secrets.token_bytes(32)) -> bytes:
    """The key called `name`; made by `make` (by default: 32 random bytes) when there is none yet.

    Several processes on one database get the same key, whoever made it.
    """
    with sandbox.store.transaction() as db:
        row = db.execute("SELECT material FROM auth_keys WHERE name = ?", (name,)).fetchone()
    if row is None:
        material = make()  # outside of a transaction: an RSA key takes a while
        with sandbox.store.transaction() as db:
            db.execute("INSERT OR IGNORE INTO auth_keys (name, material) VALUES (?, ?)", (name, material))
            row = db.execute("SELECT material FROM auth_keys WHERE name = ?", (name,)).fetchone()
    return bytes(row["material"])


def verified_claims(
    token: str, key: Any, algorithm: str, *, issuer: str, audience: str | None = None
) -> dict[str, Any] | None:
    """The claims of a JWT whose signature, issuer and audience are right; else None.

    `exp` must be there but is not compared with any clock: the caller does that, with the sandbox's own.

    Args:
        token: The JWT, from anyone.
        key: The secret or public key.
        algorithm: The only `alg` that is accepted.
        issuer: What `iss` must be.
        audience: What `aud` must be; None: the token must have none.
    """
    try:
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=issuer,
            audience=audience,
            options={
                "require": ["iss", "exp", "iat"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except (jwt.InvalidTokenError, ValueError, RecursionError):  # half a character; a thousand nested brackets
        return None
