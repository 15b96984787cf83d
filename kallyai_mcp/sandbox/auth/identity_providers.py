"""Simulated Google and Apple sign-in: two issuers of ID tokens, and the endpoints that accept their tokens.

A mobile app gets an ID token from the phone's system; `POST /v1/auth/google/validate` and `POST /v1/auth/apple/token`
exchange it. In the sandbox, `POST /_sandbox/google/id_token` and `POST /_sandbox/apple/id_token` issue the ID token.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from pydantic import BaseModel, Field

from kallyai_mcp.sandbox.accounts import ACCOUNTS, Provider
from kallyai_mcp.sandbox.auth.access_tokens import BEARER_CHALLENGE
from kallyai_mcp.sandbox.auth.responses import auth_error, documented_errors, no_store
from kallyai_mcp.sandbox.auth.signing_keys import get_key, verify_jwt
from kallyai_mcp.sandbox.auth.token_responses import TokenResponse, issue_tokens
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.state import Sandbox, SandboxDep

router = APIRouter(dependencies=[no_store])

ID_TOKEN_SECONDS = 600

_PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Issuer:
    """A simulated identity provider.

    Attributes:
        name: The provider.
        issuer: The `iss` of its ID tokens.
        audience: The `aud` of its ID tokens.
        algorithm: The `alg` of their signature (RFC 7518, section 3.1).
        new_key: Creates a private key for it.
        to_jwk: Returns a public key as a JWK (RFC 7517).
    """

    name: Provider
    issuer: str
    audience: str
    algorithm: str
    new_key: Callable[[], _PrivateKey]
    to_jwk: Callable[[Any], dict[str, Any]]


ISSUERS: dict[Provider, Issuer] = {
    "google": Issuer(
        "google",
        "https://accounts.google.sandbox.test",
        "kallyai-sandbox.apps.google.sandbox.test",
        "RS256",
        lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
        lambda key: RSAAlgorithm.to_jwk(key, as_dict=True),
    ),
    "apple": Issuer(
        "apple",
        "https://appleid.apple.sandbox.test",
        "com.kallyai.sandbox",
        "ES256",
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda key: ECAlgorithm.to_jwk(key, as_dict=True),
    ),
}


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


@router.post(
    "/v1/auth/google/validate",
    summary="Google sign-in of a mobile app",
    tags=["Authentication"],
    responses=documented_errors({400: "the body is not valid", 401: "the ID token or its account is not accepted"}),
)
def google_validate(sandbox: SandboxDep, body: GoogleSignIn) -> TokenResponse:
    """Exchange an ID token of the sandbox's Google ("Authentication Methods" of the reference)."""
    return _sign_in(sandbox, ISSUERS["google"], body.id_token)


@router.post(
    "/v1/auth/apple/token",
    summary="Apple sign-in of an iOS app",
    tags=["Authentication"],
    responses=documented_errors({400: "the body is not valid", 401: "the ID token or its account is not accepted"}),
)
def apple_token(sandbox: SandboxDep, body: AppleSignIn) -> TokenResponse:
    """Exchange an ID token of the sandbox's Apple ("Authentication Methods" of the reference)."""
    return _sign_in(sandbox, ISSUERS["apple"], body.identity_token)


@router.get(
    "/_sandbox/{provider}/.well-known/jwks.json",
    summary="The public key of a simulated provider",
    tags=["Sandbox"],
    responses=documented_errors({400: "there is no such provider"}),
)
def jwks(sandbox: SandboxDep, provider: Provider) -> dict[str, list[dict[str, Any]]]:
    """Return the JWK set (RFC 7517) that verifies the provider's ID tokens."""
    issuer = ISSUERS[provider]
    public_key = _private_key(sandbox, issuer).public_key()
    jwk = issuer.to_jwk(public_key) | {"use": "sig", "alg": issuer.algorithm, "kid": _key_id(public_key)}
    jwk.pop("key_ops", None)  # RFC 7517, section 4.3: not together with `use`
    return {"keys": [jwk]}


@router.post(
    "/_sandbox/{provider}/id_token",
    summary="Issue an ID token of a simulated provider",
    tags=["Sandbox"],
    responses=documented_errors({400: "the body is not valid", 404: "there is no such account"}),
)
def make_id_token(sandbox: SandboxDep, provider: Provider, wanted: IdTokenRequest) -> dict[str, str]:
    """Return `{"id_token": …}` for Google or `{"identity_token": …}` for Apple: the body of the sign-in endpoint."""
    account = ACCOUNTS.get(wanted.account)
    if account is None:
        raise auth_error(
            404, "account_not_found", "There is no such sandbox account", f"there are {', '.join(ACCOUNTS)}"
        )
    issuer, now = ISSUERS[provider], int(sandbox.clock.now().timestamp())
    claims = {
        "iss": issuer.issuer if wanted.issuer is None else wanted.issuer,
        "aud": issuer.audience if wanted.audience is None else wanted.audience,
        "sub": hashlib.sha256(f"{provider} {account.id}".encode()).hexdigest()[:24],
        "email": account.email if wanted.email is None else wanted.email,
        "email_verified": wanted.email_verified,
        "iat": now,
        "exp": now + wanted.expires_in,
    }
    key = _private_key(sandbox, issuer)
    token = jwt.encode(claims, key, issuer.algorithm, headers={"kid": _key_id(key.public_key())})
    return {"id_token" if provider == "google" else "identity_token": token}


def _sign_in(sandbox: Sandbox, issuer: Issuer, id_token: str) -> TokenResponse:
    key = _private_key(sandbox, issuer).public_key()
    claims = verify_jwt(id_token, key, issuer.algorithm, issuer=issuer.issuer, audience=issuer.audience)
    if claims is None:
        raise _refused("invalid_token", "The ID token is not valid")
    if claims["exp"] <= sandbox.clock.now().timestamp():
        raise _refused("token_expired", "The ID token has expired")
    if claims["email_verified"] is not True:
        raise _refused("invalid_token", "The email address of the ID token is not verified")
    account = next((one for one in ACCOUNTS.values() if one.email == claims["email"]), None)
    if account is None:
        raise _refused("unknown_account", "No account has the email address of the ID token")
    return TokenResponse.model_validate(issue_tokens(sandbox, account.id))


def _refused(code: str, message: str) -> ApiError:
    return auth_error(401, code, message, challenge=f'{BEARER_CHALLENGE}, error="invalid_token"')


def _private_key(sandbox: Sandbox, issuer: Issuer) -> _PrivateKey:
    def new() -> bytes:
        return issuer.new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    key = load_pem_private_key(get_key(sandbox, issuer.name, new), None)
    assert isinstance(key, _PrivateKey)  # noqa: S101 - `new` creates no other kind
    return key


def _key_id(public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> str:
    der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:16]
