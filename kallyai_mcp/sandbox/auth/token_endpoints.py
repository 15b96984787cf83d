"""`POST /v1/auth/gpt/token` and `POST /v1/auth/refresh`: exchange codes and refresh tokens for
access tokens.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Form
from pydantic import BaseModel, Field

from kallyai_mcp.sandbox.auth.access import auth_error, bad_token, no_store
from kallyai_mcp.sandbox.auth.clients import OAuthClient, authenticate
from kallyai_mcp.sandbox.auth.tokens import GrantRefusedError, TokenResponse
from kallyai_mcp.sandbox.schemas import errors
from kallyai_mcp.sandbox.state import SandboxDep

router = APIRouter(tags=["Authentication"], dependencies=[no_store])

FormField = Annotated[str | None, Form()]


def _client(client_id: FormField = None, client_secret: FormField = None) -> OAuthClient:
    """Authenticate the client by its credentials in the form."""
    client = authenticate(client_id or "", client_secret or "")
    if client is None:
        message = (
            "The client's id or secret is wrong"
            if client_id
            else "The client's id and secret are missing"
        )
        reason = "Send client_id and client_secret in the form"
        raise auth_error(
            401, "invalid_client", message, reason, challenge='Basic realm="kallyai-sandbox"'
        )
    return client


@router.post(
    "/v1/auth/gpt/token",
    summary="Exchange a code or refresh token of an OAuth client for tokens",
    responses=errors(400, 401),
)
def gpt_token(
    sandbox: SandboxDep,
    client: Annotated[OAuthClient, Depends(_client)],
    grant_type: Annotated[
        str | None, Form(description="`authorization_code` or `refresh_token`.")
    ] = None,
    code: FormField = None,
    redirect_uri: FormField = None,
    refresh_token: FormField = None,
) -> TokenResponse:
    """Exchange a code or a refresh token ("OAuth2 Authorization Code Flow" of the reference, steps
    2 and 3).

    A code works once; a second use revokes its tokens. A refresh token works once, and the response
    has the next one; a second use revokes the whole sign-in.
    """
    tokens = sandbox.tokens
    try:
        match _required("grant_type", grant_type):
            case "authorization_code":
                uri = _required("redirect_uri", redirect_uri) if code else None
                grant = tokens.redeem(_required("code", code), client.id, uri or "")
            case "refresh_token":
                grant = tokens.rotate(_required("refresh_token", refresh_token), client.id)
            case _:
                reason = "grant_type must be authorization_code or refresh_token"
                raise auth_error(400, "unsupported_grant_type", "There is no such grant", reason)
    except GrantRefusedError as refused:
        raise auth_error(400, "invalid_grant", "The grant is not valid", str(refused)) from None
    return tokens.respond(*grant)


class RefreshRequest(BaseModel):
    """The body of `POST /v1/auth/refresh`."""

    refresh_token: str = Field(
        repr=False, description="A refresh token of a first-party sign-in: CLI, Google, or Apple."
    )


@router.post(
    "/v1/auth/refresh",
    summary="Exchange a refresh token of a first-party sign-in for tokens",
    responses=errors(400, 401),
)
def refresh(sandbox: SandboxDep, body: RefreshRequest) -> TokenResponse:
    """Renew an expired access token ("Token Refresh" of the reference).

    A refresh token works once, and the response has the next one; a second use revokes the whole
    sign-in. A refresh token of an OAuth client is accepted at `/v1/auth/gpt/token` only, with the
    client's credentials.
    """
    try:
        grant = sandbox.tokens.rotate(body.refresh_token, None)
    except GrantRefusedError as refused:
        raise bad_token("invalid_token", "Sign in again", str(refused)) from None
    return sandbox.tokens.respond(*grant)


def _required(name: str, value: str | None) -> str:
    if not value:
        raise auth_error(400, "invalid_request", f"{name} is missing", "The grant needs it")
    return value
