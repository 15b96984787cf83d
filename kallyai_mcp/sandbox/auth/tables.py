"""The tables of the sign-in. Codes and refresh tokens are stored as SHA-256 digests only."""

import hashlib

AUTH_SCHEMA = """
CREATE TABLE IF NOT EXISTS auth_keys (
    name TEXT PRIMARY KEY,
    material BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS auth_families (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    client_id TEXT,
    scope TEXT NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS auth_refresh_tokens (
    hash BLOB PRIMARY KEY,
    family TEXT NOT NULL,
    expires_at REAL NOT NULL,
    used INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS auth_refresh_tokens_by_family ON auth_refresh_tokens (family);
CREATE TABLE IF NOT EXISTS auth_codes (
    hash BLOB PRIMARY KEY,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    account_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    expires_at REAL NOT NULL,
    family TEXT
);
"""
"""DDL for `Store`, repeatable. Times are seconds since 1970; `auth_codes.family` is the family of a used code."""


def digest(secret: str) -> bytes:
    """Return the SHA-256 digest of a secret. The secrets are long and random, so they need no salt or slow hash."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()  # JSON may contain a lone surrogate
