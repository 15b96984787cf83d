"""Reads error responses: bodies in the reference's format ("Error Codes"), and in the others that were seen."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from kallyai_mcp.api.errors import (
    WITH_PAGE,
    KallyAIError,
    QuotaExceededError,
    ResponseLostError,
    error_class,
    status_line,
)
from kallyai_mcp.api.models import QuotaExceededBody
from kallyai_mcp.api.responses import ApiResponse, retry_after
from kallyai_mcp.api.transport import ApiRequest

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,63}")
_SHORTEST_SECRET = 8
"""The fewest characters of a secret that is removed from texts. A shorter one could be part of any word."""


@dataclass(frozen=True)
class _ErrorBody:
    """The parts of an error body; None for a part that it lacks. `fields` has all fields, wherever they were."""

    code: str | None = None
    message: str | None = None
    reason: str | None = None
    correlation_id: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


def error_from(request: ApiRequest, response: ApiResponse) -> KallyAIError:
    """The error for a response that is not a success. Its code is that of the body, unchanged, or `http_STATUS`.

    It is `ResponseLostError` if KallyAI may have acted on a POST: after 303, whose response is at another URL (RFC
    9110, section 15.4.4), and if the body has the id of a call.
    """
    body = _read_body(response.body)
    names_call = body.fields.get("call_id")
    if 300 <= response.status < 400:
        body = _redirected(response)
    elif response.is_web_page:
        body = _ErrorBody("bot_check" if response.status == HTTPStatus.FORBIDDEN else None)
    kind: type[KallyAIError] = error_class(body.code, response.status)
    code, more = body.code, {}
    if request.method == "POST" and (response.status == HTTPStatus.SEE_OTHER or names_call):
        kind = ResponseLostError
    elif kind is QuotaExceededError:
        code, more = code or kind.default_code, QuotaExceededBody.model_validate(body.fields).model_dump()

    def clean(text: str | None) -> str | None:
        for secret in request.secrets:
            if text and len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "[token]")
        return text

    return kind(
        clean(body.message) or _status_line(response),
        code=clean(code) or f"http_{response.status}",
        status=response.status,
        reason=clean(body.reason),
        correlation_id=clean(body.correlation_id or response.correlation_id),
        retry_after=None if kind is ResponseLostError else retry_after(response.headers),
        **more,
    )


def _status_line(response: ApiResponse) -> str:
    line = status_line(response.status)
    return line + WITH_PAGE if response.is_web_page else line


def _redirected(response: ApiResponse) -> _ErrorBody:
    where = None
    with suppress(ValueError):
        where = urlsplit(response.headers.get("location", "")).hostname
    message = f"{_status_line(response)}: KallyAI points to {where or 'another address'}, which was not followed. "
    return _ErrorBody("redirected", f"{message}If it has moved there, KALLYAI_API_URL must name it")


def _read_body(content: bytes) -> _ErrorBody:
    """Read each part from its place in the reference, or else from the other places where it was seen."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return _ErrorBody(message=content[:2000].decode("utf-8", "replace").strip() or None)
    if not isinstance(body, Mapping):
        return _ErrorBody(message=_sentence(body))
    detail = body.get("detail")
    body = {**body, **_object(detail)}
    error = body.get("error", detail)
    details = _object(error).get("details", body.get("details"))
    levels = (_object(details), _object(error), body)

    def first(name: str) -> str | None:
        return next((text for level in levels if (text := _sentence(level.get(name)))), None)

    code = first("code") or _sentence(error)
    if code is not None and not _CODE.fullmatch(code):
        code = None
    texts = [_sentence(level.get("message")) for level in levels]
    texts += [_sentence(text) for text in (body.get("error_description"), details, detail, error)]
    message, reason, *_ = [*dict.fromkeys(text for text in texts if text and text != code), None, None]
    return _ErrorBody(
        code, message, first("reason") or reason, first("correlation_id"), {**body, **levels[1], **levels[0]}
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sentence(value: Any) -> str | None:
    """A text, or a list's texts, joined by semicolons; FastAPI's `{"loc": [...], "msg": ...}` counts as a text."""
    if isinstance(value, list):
        # `sanitize` would cut the rest.
        value = "; ".join(filter(None, map(_entry, value[:10])))
    return value.strip() or None if isinstance(value, str) else None


def _entry(value: Any) -> str | None:
    if not isinstance(value, Mapping):
        return value if isinstance(value, str) else None
    message, where = _sentence(value.get("msg")) or _sentence(value.get("message")), value.get("loc")
    if message and isinstance(where, list):
        return f"{'.'.join(str(part) for part in where if part != 'body') or 'body'}: {message}"
    return message
