"""The errors of the sign-in, and the dependency that requires an access token: the reference's
"Scopes".
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from kallyai_mcp.sandbox.accounts import ACCOUNTS, Account
from kallyai_mcp.sandbox.auth.tokens import ISSUER
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.state import SandboxDep

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""RFC 6749, section 5.1, requires these headers in responses with tokens; all responses of the
sign-in have them.
"""

_CHALLENGE = 'Bearer realm="kallyai-sandbox"'
_bearer = HTTPBearer(
    scheme_name="bearer",
    bearerFormat="JWT",
    description="An access token of any sign-in.",
    auto_error=False,
)


async def _set_no_store(response: Response) -> None:
    response.headers.update(NO_STORE)


no_store = Depends(_set_no_store)
"""A dependency for a router: sets `NO_STORE` in its responses."""


def auth_error(
    status: int, code: str, message: str, reason: str, *, challenge: str | None = None
) -> ApiError:
    """Return an error with the headers of `NO_STORE`; a 401 needs a `challenge`, its
    `WWW-Authenticate` header.
    """
    headers = NO_STORE | ({"WWW-Authenticate": challenge} if challenge else {})
    return ApiError(status, code, message, reason, headers)


def bad_token(code: str, message: str, reason: str) -> ApiError:
    """Return the 401 of a token that is not accepted, with the header of RFC 6750."""
    challenge = f'{_CHALLENGE}, error="invalid_token", error_description="{message}"'
    return auth_error(401, code, message, reason, challenge=challenge)


def require(scope: str) -> Callable[..., Account]:
    """Return a FastAPI dependency that requires a valid access token with `scope` and returns its
    account.

    It also sets `request.state.client_id` to the token's OAuth client, None for a first-party
    program.
    """

    def signed_in(
        request: Request,
        sandbox: SandboxDep,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> Account:
        again = "Sign in again, or refresh the token"
        if credentials is None:
            if "authorization" not in request.headers:
                reason = "There is no Authorization header"
                raise auth_error(
                    401, "missing_token", "Sign in first", reason, challenge=_CHALLENGE
                )
            message = "The Authorization header is not a bearer token"
            raise bad_token("invalid_token", message, "Send Authorization: Bearer <token>")
        claims = sandbox.tokens.verify("access", ISSUER, credentials.credentials)
        if claims is None:
            raise bad_token(
                "invalid_token", "The access token is not valid", "This sandbox has not issued it"
            )
        if sandbox.tokens.has_expired(claims):
            raise bad_token("token_expired", "The access token has expired", again)
        account = ACCOUNTS.get(claims["sub"])
        if account is None or not sandbox.tokens.is_valid(claims["sid"]):
            raise bad_token("invalid_token", "The access token was revoked", again)
        if scope not in claims["scope"].split():
            challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'
            message = "The access token does not allow this"
            raise auth_error(
                403, "forbidden", message, f"missing scope: {scope}", challenge=challenge
            )
        request.state.client_id = claims.get("client_id")
        return account

    return signed_in
