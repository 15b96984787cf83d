"""The forms that clients and browsers send."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

Form = Mapping[str, str]

MEDIA_TYPE = "application/x-www-form-urlencoded"


async def form_of(request: Request) -> Form | None:
    """The fields of a form; None if the body is something else.

    Of two equal names, the last counts. An empty field counts as absent (RFC 6749, section 3.2).
    """
    body = await request.body()
    if not body:
        return {}
    media_type = request.headers.get("content-type", "").partition(";")[0].strip()
    if media_type.lower() != MEDIA_TYPE:
        return None
    return dict(parse_qsl(body.decode("latin-1")))


async def fields_of(request: Request) -> Form:
    """The fields of a form; none also if the body is something else."""
    return await form_of(request) or {}
