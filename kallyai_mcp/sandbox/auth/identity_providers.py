"""Simulated Google and Apple sign-in: two issuers of ID tokens, and the endpoints that accept their tokens.

A mobile app gets an ID token from the phone's system; `POST /v1/auth/google/validate` and `POST /v1/auth/apple/token`
exchange it. In the sandbox, `POST /_sandbox/google/id_token` and `POST /_sandbox/apple/id_token` issue the ID token.
"""

import hashlib
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from fastapi import APIRouter
from pydantic import BaseModel, Field

from kallyai_mcp.sandbox.accounts import ACCOUNTS, Provider
from kallyai_mcp.sandbox.auth.access import auth_error, bad_token, documented_errors, no_store
from kallyai_mcp.sandbox.auth.tokens import TokenResponse, verify_jwt
from kallyai_mcp.sandbox.state import Sandbox, SandboxDep

router = APIRouter(dependencies=[no_store])

ID_TOKEN_SECONDS = 600


class Issuer(NamedTuple):
    """A simulated identity provider: the `iss`, `aud`, and `alg` of its ID tokens."""

    issuer: str
    audience: str
    algorithm: str


ISSUERS: dict[Provider, Issuer] = {
    "google": Issuer("https://accounts.google.sandbox.test", "kallyai-sandbox.apps.google.sandbox.test", "RS256"),
    "apple": Issuer("https://appleid.apple.sandbox.test", "com.kallyai.sandbox", "ES256"),
}
_ERRORS = documented_errors({400: "the body is not valid", 401: "the ID token or its account is not accepted"})


class IdTokenRequest(BaseModel):
    """The ID token to issue. Values that differ from the account's make a token that the sign-in refuses."""

    account: str = Field("acct-personal", description="The id of a sandbox account.")
    email: str | None = Field(None, description="Another email address than the account's.")
    email_verified: bool = True
    issuer: str | None = Field(None, description="Another `iss` than the provider's.")
    audience: str | None = Field(None, description="Another `aud` than KallyAI's.")
    expires_in: int = Field(ID_TOKEN_SECONDS, ge=-86400, le=86400, description="Seconds; negative: expired already.")


class GoogleSignIn(BaseModel):
    """The body of `POST /v1/auth/google/validate`."""

    id_token: str = Field(repr=False, description="A JWT signed by the sandbox's Google.")


class AppleSignIn(BaseModel):
    """The body of `POST /v1/auth/apple/token`."""

    identity_token: str = Field(repr=False, description="A JWT signed by the sandbox's Apple.")


@router.post("/v1/auth/google/validate", tags=["Authentication"], responses=_ERRORS)
def google_validate(sandbox: SandboxDep, body: GoogleSignIn) -> TokenResponse:
    """Exchange an ID token of the sandbox's Google ("Authentication Methods" of the reference)."""
    return _sign_in(sandbox, "google", body.id_token)


@router.post("/v1/auth/apple/token", tags=["Authentication"], responses=_ERRORS)
def apple_token(sandbox: SandboxDep, body: AppleSignIn) -> TokenResponse:
    """Exchange an ID token of the sandbox's Apple ("Authentication Methods" of the reference)."""
    return _sign_in(sandbox, "apple", body.identity_token)


@router.get(
    "/_sandbox/{provider}/.well-known/jwks.json",
    tags=["Sandbox"],
    responses=documented_errors({400: "there is no such provider"}),
)
def jwks(sandbox: SandboxDep, provider: Provider) -> dict[str, list[dict[str, Any]]]:
    """Return the JWK set (RFC 7517) that verifies the provider's ID tokens."""
    algorithm = ISSUERS[provider].algorithm
    public_key = _private_key(sandbox, provider).public_key()
    jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(public_key, as_dict=True)
    jwk.pop("key_ops", None)  # RFC 7517, section 4.3: not together with `use`
    return {"keys": [jwk | {"use": "sig", "alg": algorithm, "kid": _key_id(public_key)}]}


@router.post(
    "/_sandbox/{provider}/id_token",
    tags=["Sandbox"],
    responses=documented_errors({400: "the body is not valid", 404: "there is no such account"}),
)
def make_id_token(sandbox: SandboxDep, provider: Provider, wanted: IdTokenRequest) -> dict[str, str]:
    """Return `{"id_token": …}` for Google or `{"identity_token": …}` for Apple: the body of the sign-in endpoint."""
    account = ACCOUNTS.get(wanted.account)
    if account is None:
        reason = f"there are {', '.join(ACCOUNTS)}"
        raise auth_error(404, "account_not_found", "There is no such sandbox account", reason)
    own, now = ISSUERS[provider], int(sandbox.clock.now().timestamp())
    claims = {
        "iss": own.issuer if wanted.issuer is None else wanted.issuer,
        "aud": own.audience if wanted.audience is None else wanted.audience,
        "sub": hashlib.sha256(f"{provider} {account.id}".encode()).hexdigest()[:24],
        "email": account.email if wanted.email is None else wanted.email,
        "email_verified": wanted.email_verified,
        "iat": now,
        "exp": now + wanted.expires_in,
    }
    key = _private_key(sandbox, provider)
    token = jwt.encode(claims, key, own.algorithm, headers={"kid": _key_id(key.public_key())})
    return {"id_token" if provider == "google" else "identity_token": token}


def _sign_in(sandbox: Sandbox, provider: Provider, id_token: str) -> TokenResponse:
    own, key = ISSUERS[provider], _private_key(sandbox, provider).public_key()
    claims = verify_jwt(id_token, key, own.algorithm, issuer=own.issuer, audience=own.audience)
    if claims is None:
        raise bad_token("invalid_token", "The ID token is not valid", f"{provider} has not issued it for KallyAI")
    if sandbox.tokens.has_expired(claims):
        raise bad_token("token_expired", "The ID token has expired", "Sign in again")
    if claims["email_verified"] is not True:
        raise bad_token("invalid_token", "The email address of the ID token is not verified", "Verify it first")
    account = next((one for one in ACCOUNTS.values() if one.email == claims["email"]), None)
    if account is None:
        raise bad_token("unknown_account", "No account has the email address of the ID token", "Create one first")
    return sandbox.tokens.issue(account.id)


def _private_key(sandbox: Sandbox, provider: Provider) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    def new() -> bytes:
        key = rsa.generate_private_key(65537, 2048) if provider == "google" else ec.generate_private_key(ec.SECP256R1())
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    key = load_pem_private_key(sandbox.tokens.key(provider, new), None)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)  # noqa: S101 - `new` creates no other kind
    return key


def _key_id(public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> str:
    der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:16]
