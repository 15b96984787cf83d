"""The reference's token response."""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, Field

from kallyai_mcp.sandbox.accounts import ACCOUNTS, SCOPES
from kallyai_mcp.sandbox.auth import token_families
from kallyai_mcp.sandbox.auth.access_tokens import ACCESS_TOKEN_SECONDS, sign_access_token
from kallyai_mcp.sandbox.auth.token_families import Family
from kallyai_mcp.sandbox.state import Sandbox


class TokenResponse(BaseModel):
    """The response of every token endpoint (the reference's "OAuth2 Authorization Code Flow", step 2)."""

    access_token: str = Field(repr=False, description="For the header `Authorization: Bearer …`; a signed JWT.")
    refresh_token: str = Field(repr=False, description="Works once: each refresh gives a new one.")
    token_type: Literal["Bearer"] = Field(
        "Bearer",
        description="The field is not in the reference; RFC 6749, section 5.1, requires it.",
    )
    expires_in: int = Field(description="Seconds until the access token expires.")
    scope: str = Field(description="The granted scopes, space-separated.")


def token_response(sandbox: Sandbox, family: Family, refresh_token: str) -> TokenResponse:
    """Return a response with a new access token of the family and the given refresh token."""
    return TokenResponse(
        access_token=sign_access_token(sandbox, family),
        refresh_token=refresh_token,
        expires_in=ACCESS_TOKEN_SECONDS,
        scope=family.scope,
    )


def issue_tokens(sandbox: Sandbox, account_id: str, scopes: Iterable[str] | None = None) -> dict[str, Any]:
    """Sign an account in as a first-party program, without a browser.

    Args:
        sandbox: The sandbox.
        account_id: An id of `accounts.ACCOUNTS`.
        scopes: Scopes of the reference; None: all of them.

    Returns:
        The reference's token response: `access_token`, `refresh_token`, `token_type`, `expires_in` (seconds), `scope`.

    Raises:
        ValueError: There is no such account or scope.
    """
    if account_id not in ACCOUNTS:
        raise ValueError(f"no such account: {account_id}; there are {', '.join(ACCOUNTS)}")
    granted = tuple(SCOPES) if scopes is None else tuple(scopes)
    if unknown := [scope for scope in granted if scope not in SCOPES]:
        raise ValueError(f"no such scope: {', '.join(unknown)}; there are {', '.join(SCOPES)}")
    with sandbox.store.transaction() as db:
        family, refresh_token = token_families.start(
            db, sandbox.clock.now().timestamp(), account_id, None, " ".join(granted)
        )
    return token_response(sandbox, family, refresh_token).model_dump()
