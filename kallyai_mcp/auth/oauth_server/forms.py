"""Reading what is sent to the endpoints: forms and JSON, of bounded length."""

import json
from urllib.parse import parse_qsl

from starlette.requests import Request

MAX_BYTES = 32 * 1024
"""Of one body: a sealed refresh token is far below it."""

_MOST_FIELDS = 32


class InvalidFormError(Exception):
    """A body can't be read; the message is for whoever wrote the client."""


async def read_form(request: Request) -> dict[str, str]:
    """The fields of an `application/x-www-form-urlencoded` body; empty ones count as left out (RFC 6749, section 3.2).

    Raises:
        InvalidFormError: It is something else, too long, or has a field twice.
    """
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise InvalidFormError("The body must be application/x-www-form-urlencoded.")
    body = await _read(request)
    try:
        fields = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise InvalidFormError("The body is no form.") from None
    form = dict(fields)
    if len(form) != len(fields):
        raise InvalidFormError("A parameter is given twice.")
    return {name: value for name, value in form.items() if value}


async def read_json(request: Request) -> object:
    """The body as JSON.

    Raises:
        InvalidFormError: It is not JSON, or too long.
    """
    body = await _read(request)
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidFormError("The body is not JSON.") from None
    return value


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise InvalidFormError(f"The body is longer than {MAX_BYTES} bytes.")
    return bytes(body)
