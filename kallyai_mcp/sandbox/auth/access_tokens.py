"""Access tokens (signed JWTs) and the dependency that requires one: the reference's "Authentication" and "Scopes"."""

import uuid
from collections.abc import Callable
from typing import Annotated

import jwt
from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from kallyai_mcp.sandbox.accounts import ACCOUNTS, Account
from kallyai_mcp.sandbox.auth import token_families
from kallyai_mcp.sandbox.auth.responses import auth_error
from kallyai_mcp.sandbox.auth.signing_keys import get_key, verify_jwt
from kallyai_mcp.sandbox.auth.token_families import Family
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.state import Sandbox, SandboxDep

ACCESS_TOKEN_SECONDS = 3600
ISSUER = "https://api.kallyai.sandbox.test"
BEARER_CHALLENGE = 'Bearer realm="kallyai-sandbox"'

_ALGORITHM = "HS256"
_bearer = HTTPBearer(
    scheme_name="bearer", bearerFormat="JWT", description="An access token of any sign-in.", auto_error=False
)


def sign_access_token(sandbox: Sandbox, family: Family) -> str:
    """Return a new access token of the family, valid for `ACCESS_TOKEN_SECONDS`.

    Its claims: `iss`, `sub` (the account's id), `email`, `scope` (space-separated), `iat`, `exp`, `jti`, `sid` (the
    family; the token is not valid after the family was revoked), and `client_id` (null for a first-party program).
    """
    now = int(sandbox.clock.now().timestamp())
    claims = {
        "iss": ISSUER,
        "sub": family.account_id,
        "email": ACCOUNTS[family.account_id].email,
        "scope": family.scope,
        "iat": now,
        "exp": now + ACCESS_TOKEN_SECONDS,
        "jti": str(uuid.uuid4()),
        "sid": family.id,
        "client_id": family.client_id,
    }
    return jwt.encode(claims, get_key(sandbox, "access"), _ALGORITHM)


def require(*scopes: str) -> Callable[..., Account]:
    """Return a FastAPI dependency that requires a valid access token with all of `scopes` and returns its account.

    It also sets `request.state.client_id` to the token's OAuth client, None for a first-party program.

    Raises (from the dependency):
        ApiError: 401 `missing_token` without an Authorization header, 401 `token_expired`, 401 `invalid_token` for
            every other token that is not valid, 403 `forbidden` with the missing scope in its reason. Each has the
            `WWW-Authenticate` header of RFC 6750.
    """

    def signed_in(
        request: Request,
        sandbox: SandboxDep,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> Account:
        if credentials is None:
            if "authorization" not in request.headers:
                raise auth_error(
                    401, "missing_token", "Sign in first: no Authorization header", challenge=BEARER_CHALLENGE
                )
            raise _bad_token("invalid_token", "The Authorization header is not a bearer token")
        claims = verify_jwt(credentials.credentials, get_key(sandbox, "access"), _ALGORITHM, issuer=ISSUER)
        if claims is None:
            raise _bad_token("invalid_token", "The access token is not valid")
        if claims["exp"] <= sandbox.clock.now().timestamp():
            raise _bad_token("token_expired", "The access token has expired")
        account = ACCOUNTS.get(claims["sub"])
        if account is None or not token_families.is_valid(sandbox, claims["sid"]):
            raise _bad_token("invalid_token", "The access token was revoked")
        for scope in scopes:
            if scope not in claims["scope"].split():
                raise auth_error(
                    403,
                    "forbidden",
                    "The access token does not allow this",
                    f"missing scope: {scope}",
                    challenge=f'{BEARER_CHALLENGE}, error="insufficient_scope", scope="{" ".join(scopes)}"',
                )
        request.state.client_id = claims.get("client_id")
        return account

    return signed_in


def _bad_token(code: str, message: str) -> ApiError:
    challenge = f'{BEARER_CHALLENGE}, error="invalid_token", error_description="{message}"'
    return auth_error(401, code, message, challenge=challenge)
