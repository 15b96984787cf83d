"""The sandbox's signing keys, created on first use and stored in its database, so that tokens survive a restart."""

import secrets
from collections.abc import Callable
from typing import Any

import jwt

from kallyai_mcp.sandbox.state import Sandbox


def get_key(sandbox: Sandbox, name: str, make: Callable[[], bytes] = lambda: secrets.token_bytes(32)) -> bytes:
    """Return the key called `name`; `make` (by default: 32 random bytes) creates it when there is none yet.

    All processes on one database get the same key.
    """
    with sandbox.store.transaction() as db:
        row = db.execute("SELECT material FROM auth_keys WHERE name = ?", (name,)).fetchone()
    if row is None:
        material = make()  # outside of a transaction: an RSA key takes long to create
        with sandbox.store.transaction() as db:
            db.execute("INSERT OR IGNORE INTO auth_keys (name, material) VALUES (?, ?)", (name, material))
            row = db.execute("SELECT material FROM auth_keys WHERE name = ?", (name,)).fetchone()
    return bytes(row["material"])


def verify_jwt(
    token: str, key: Any, algorithm: str, *, issuer: str, audience: str | None = None
) -> dict[str, Any] | None:
    """Return the claims of a JWT with the right signature, issuer, and audience; None for any other token.

    `exp` is required but not compared with a clock: the caller compares it with the sandbox's clock.

    Args:
        token: The JWT, not trusted.
        key: The secret or public key.
        algorithm: The only `alg` that is accepted.
        issuer: The required `iss`.
        audience: The required `aud`; None: the token must not have one.
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
    except (jwt.InvalidTokenError, ValueError, RecursionError):  # a lone surrogate; a thousand nested brackets
        return None
