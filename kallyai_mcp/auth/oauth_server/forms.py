"""Reads the bodies of requests to the OAuth server: forms and JSON, of limited length."""

import json
from urllib.parse import parse_qsl

from starlette.requests import Request

from kallyai_mcp.auth.oauth_server.errors import OAuthError

MAX_BYTES = 32 * 1024
"""The most bytes of a body. A sealed refresh token is far shorter."""

_MAX_FIELDS = 32


async def read_form(request: Request) -> dict[str, str]:
    """The fields of an `application/x-www-form-urlencoded` body, without the empty ones (RFC 6749, section 3.2).

    That section forbids several fields with one name. Starlette's `Request.form` would keep the last one.

    Raises:
        OAuthError: The body has another type, is too long, or has a field twice.
    """
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "The body must be application/x-www-form-urlencoded.")
    body = await _read(request, "invalid_request")
    try:
        fields = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        raise OAuthError("invalid_request", "The body is no form.") from None
    form = dict(fields)
    if len(form) != len(fields):
        raise OAuthError("invalid_request", "A parameter is given twice.")
    return {name: value for name, value in form.items() if value}


async def read_json(request: Request) -> object:
    """The body of a registration as JSON; raises `OAuthError` when it is not JSON, or is too long."""
    body = await _read(request, "invalid_client_metadata")
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        raise OAuthError("invalid_client_metadata", "The body is not JSON.") from None
    return value


async def _read(request: Request, code: str) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise OAuthError(code, f"The body is longer than {MAX_BYTES} bytes.")
    return bytes(body)
