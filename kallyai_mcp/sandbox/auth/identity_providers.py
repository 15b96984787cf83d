"""Simulated Google and Apple sign-in: ID tokens, and the endpoints that accept them.

A mobile app gets an ID token from the phone's system; `POST /v1/auth/google/validate` and `POST
/v1/auth/apple/token` exchange it. In the sandbox, `POST /_sandbox/google/id_token` and `POST
/_sandbox/apple/id_token` issue the ID token, signed by the sandbox itself.
"""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from kallyai_mcp.sandbox.accounts import ACCOUNTS, Provider
from kallyai_mcp.sandbox.auth.access import auth_error, bad_token, no_store
from kallyai_mcp.sandbox.auth.tokens import TokenResponse
from kallyai_mcp.sandbox.schemas import errors
from kallyai_mcp.sandbox.state import Sandbox, SandboxDep

router = APIRouter(dependencies=[no_store])

_ISSUERS: dict[Provider, str] = {
    "google": "https://accounts.google.sandbox.test",
    "apple": "https://appleid.apple.sandbox.test",
}


class IdTokenRequest(BaseModel):
    """The ID token to issue."""

    account: str = Field("acct-personal", description="The id of a sandbox account.")
    expires_in: int = Field(
        600, ge=-86400, le=86400, description="Seconds; negative: expired already."
    )


class GoogleSignIn(BaseModel):
    """The body of `POST /v1/auth/google/validate`."""

    id_token: str = Field(repr=False, description="A JWT of the sandbox's Google.")


class AppleSignIn(BaseModel):
    """The body of `POST /v1/auth/apple/token`."""

    identity_token: str = Field(repr=False, description="A JWT of the sandbox's Apple.")


@router.post("/v1/auth/google/validate", tags=["Authentication"], responses=errors(400, 401))
def google_validate(sandbox: SandboxDep, body: GoogleSignIn) -> TokenResponse:
    """Exchange an ID token of the sandbox's Google ("Authentication Methods" of the reference)."""
    return _sign_in(sandbox, "google", body.id_token)


@router.post("/v1/auth/apple/token", tags=["Authentication"], responses=errors(400, 401))
def apple_token(sandbox: SandboxDep, body: AppleSignIn) -> TokenResponse:
    """Exchange an ID token of the sandbox's Apple ("Authentication Methods" of the reference)."""
    return _sign_in(sandbox, "apple", body.identity_token)


@router.post("/_sandbox/{provider}/id_token", tags=["Sandbox"], responses=errors(400, 404))
def make_id_token(
    sandbox: SandboxDep, provider: Provider, wanted: IdTokenRequest
) -> dict[str, str]:
    """Return `{"id_token": …}` for Google or `{"identity_token": …}` for Apple: the body of the
    sign-in endpoint.
    """
    account = ACCOUNTS.get(wanted.account)
    if account is None:
        reason = f"there are {', '.join(ACCOUNTS)}"
        raise auth_error(404, "account_not_found", "There is no such sandbox account", reason)
    token = sandbox.tokens.sign(
        provider, _ISSUERS[provider], wanted.expires_in, {"email": account.email}
    )
    return {"id_token" if provider == "google" else "identity_token": token}


def _sign_in(sandbox: Sandbox, provider: Provider, id_token: str) -> TokenResponse:
    claims = sandbox.tokens.verify(provider, _ISSUERS[provider], id_token)
    if claims is None:
        raise bad_token(
            "invalid_token",
            "The ID token is not valid",
            f"{provider} has not issued it for KallyAI",
        )
    if sandbox.tokens.has_expired(claims):
        raise bad_token("token_expired", "The ID token has expired", "Sign in again")
    return sandbox.tokens.issue(
        next(one.id for one in ACCOUNTS.values() if one.email == claims["email"])
    )
