"""`POST /v1/auth/gpt/token` and `POST /v1/auth/refresh`: codes and refresh tokens into access tokens."""

import base64
import binascii
from typing import Annotated
from urllib.parse import unquote_plus

from fastapi import APIRouter, Depends, Form, Request
from pydantic import BaseModel, Field

from kallyai_mcp.sandbox.auth import authorization_codes, token_families
from kallyai_mcp.sandbox.auth.access_tokens import BEARER_CHALLENGE
from kallyai_mcp.sandbox.auth.clients import Client, authenticate
from kallyai_mcp.sandbox.auth.context import Sandbox, documented_errors, refusal
from kallyai_mcp.sandbox.auth.token_families import GrantRefusedError
from kallyai_mcp.sandbox.auth.token_responses import TokenResponse, token_response

router = APIRouter(tags=["Authentication"])

FormField = Annotated[str | None, Form()]


async def _no_field_twice(request: Request) -> None:
    form = await request.form()
    if len(form.multi_items()) != len(form):
        raise refusal(400, "invalid_request", "A parameter is given twice")


def _client(request: Request, client_id: FormField = None, client_secret: FormField = None) -> Client:
    """The client of the token endpoint, by its credentials in the form or in HTTP Basic (RFC 6749, section 2.3.1)."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        if client_secret is not None:
            raise refusal(400, "invalid_request", "Client credentials are given twice")
        basic_id, client_secret = _basic(encoded)
        if client_id not in (None, basic_id):
            raise refusal(400, "invalid_request", "Two different clients are given")
        client_id = basic_id
    client = authenticate(client_id or "", client_secret or "")
    if client is None:
        words = "The client's id or secret is wrong" if client_id else "The client's id and secret are missing"
        raise refusal(401, "invalid_client", words, challenge='Basic realm="kallyai-sandbox"')
    return client


def _basic(encoded: str) -> tuple[str, str]:
    try:
        name, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(name), unquote_plus(password)


@router.post(
    "/v1/auth/gpt/token",
    summary="A code or refresh token of an OAuth client, into tokens",
    dependencies=[Depends(_no_field_twice)],
    responses=documented_errors(
        _400="`invalid_request`, `invalid_grant` or `unsupported_grant_type`", _401="`invalid_client`"
    ),
)
def gpt_token(
    sandbox: Sandbox,
    client: Annotated[Client, Depends(_client)],
    grant_type: Annotated[str | None, Form(description="`authorization_code` or `refresh_token`.")] = None,
    code: FormField = None,
    redirect_uri: FormField = None,
    refresh_token: FormField = None,
) -> TokenResponse:
    """Exchange what an OAuth client holds ("OAuth2 Authorization Code Flow" of the reference, steps 2 and 3).

    The client proves itself with `client_id` and `client_secret` in the form, or with HTTP Basic. A code works once; if
    it comes back, what it gave is revoked. A refresh token works once too and is answered with its successor; if it
    comes back, the whole sign-in is revoked.
    """
    try:
        match _given("grant_type", grant_type):
            case "authorization_code":
                grant = authorization_codes.redeem(
                    sandbox, _given("code", code), client.id, _given("redirect_uri", redirect_uri)
                )
            case "refresh_token":
                grant = token_families.rotate(sandbox, _given("refresh_token", refresh_token), client.id)
            case _:
                words = "grant_type must be authorization_code or refresh_token"
                raise refusal(400, "unsupported_grant_type", words)
    except GrantRefusedError as refused:
        raise refusal(400, "invalid_grant", "The grant is not valid", str(refused)) from None
    return token_response(sandbox, *grant)


class RefreshRequest(BaseModel):
    """The body of `POST /v1/auth/refresh`."""

    refresh_token: str = Field(repr=False, description="Of a first-party sign-in: CLI, Google or Apple.")


@router.post(
    "/v1/auth/refresh",
    summary="A refresh token of a first-party sign-in, into tokens",
    responses=documented_errors(_400="the body is not valid", _401="`invalid_token`: sign in again"),
)
def refresh(sandbox: Sandbox, body: RefreshRequest) -> TokenResponse:
    """Renew an expired access token ("Token Refresh" of the reference).

    A refresh token works once and is answered with its successor. If it comes back, the whole sign-in is revoked,
    without any grace: of two uses at the same moment, the second revokes. One of an OAuth client is only good at
    `/v1/auth/gpt/token`, with the client's credentials.
    """
    try:
        grant = token_families.rotate(sandbox, body.refresh_token, None)
    except GrantRefusedError as refused:
        challenge = f'{BEARER_CHALLENGE}, error="invalid_token"'
        raise refusal(401, "invalid_token", "Sign in again", str(refused), challenge=challenge) from None
    return token_response(sandbox, *grant)


def _given(name: str, value: str | None) -> str:
    if not value:
        raise refusal(400, "invalid_request", f"{name} is missing")
    return value
