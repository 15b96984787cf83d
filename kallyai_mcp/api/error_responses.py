"""Reads error responses: bodies in the reference's format ("Error Codes"), and in the others that were seen."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from kallyai_mcp.api.errors import CODES, BotCheckError, KallyAIError, QuotaExceededError, error_class
from kallyai_mcp.api.models import QuotaExceededBody
from kallyai_mcp.api.responses import ApiResponse, parse_json, retry_after

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,63}")
_SHORTEST_SECRET = 8
"""The fewest characters of a secret that is removed from texts. A shorter one could be part of any word."""

_BOT_CHECK_TEXTS = (b"captcha", b"challenge", b"just a moment", b"attention required", b"unusual traffic", b"are human")
"""Texts on the pages of bot checks, but not on those of outages."""

_NO_QUOTA = QuotaExceededBody()


@dataclass(frozen=True)
class _ErrorBody:
    """The parts of an error body; None for a part that it lacks. `names_call` says whether it has the id of a call."""

    code: str | None = None
    message: str | None = None
    reason: str | None = None
    correlation_id: str | None = None
    names_call: bool = False
    quota: QuotaExceededBody = _NO_QUOTA


def error_from(response: ApiResponse) -> KallyAIError:
    """The error for a response that is not a success. Its code is that of the body, unchanged, or `http_STATUS`."""
    if 300 <= response.status < 400:
        return _redirect_error(response)
    body = _ErrorBody() if response.is_web_page else _read_body(response.body)
    kind, code = error_class(body.code, response.status), body.code
    if code is None and _is_bot_check(response):
        kind, code = BotCheckError, BotCheckError.default_code
    quota: dict[str, Any] = {}
    if issubclass(kind, QuotaExceededError):
        quota = body.quota.model_dump()
        if code is None and any(value is not None for value in quota.values()):
            code = QuotaExceededError.default_code

    def clean(text: str | None) -> str | None:
        for secret in response.secrets:
            if text and len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "[token]")
        return text

    return kind(
        clean(body.message) or _status_line(response),
        code=clean(code) or f"http_{response.status}",
        status=response.status,
        reason=clean(body.reason),
        correlation_id=clean(body.correlation_id or response.correlation_id),
        retry_after=retry_after(response.headers),
        **quota,
    )


def names_call(response: ApiResponse) -> bool:
    """Whether the body of a response has the id of a call where errors have it, whatever its status is."""
    return _read_body(response.body).names_call


def _status_line(response: ApiResponse) -> str:
    try:
        phrase = f" {HTTPStatus(response.status).phrase}"
    except ValueError:
        phrase = ""
    return f"HTTP {response.status}{phrase}{', with a web page in place of data' if response.is_web_page else ''}"


def _redirect_error(response: ApiResponse) -> KallyAIError:
    try:
        where = urlsplit(response.headers.get("location", "")).hostname or "another address"
    except ValueError:
        where = "an address that is none"
    return error_class(None, response.status)(
        f"{_status_line(response)}: KallyAI points to {where}, which was not followed. "
        "If it has moved there, KALLYAI_API_URL must name it",
        code="redirected",
        status=response.status,
        correlation_id=response.correlation_id,
    )


def _is_bot_check(response: ApiResponse) -> bool:
    """Whether the response is the web page of a bot check.

    A 503 is one only if it looks like one: behind any other 503, the service may have acted on the request.
    """
    if not response.is_web_page or response.status not in (HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE):
        return False
    page = response.body.lower()
    return (
        response.status == HTTPStatus.FORBIDDEN
        or "cf-mitigated" in response.headers
        or any(text in page for text in _BOT_CHECK_TEXTS)
    )


def _read_body(content: bytes) -> _ErrorBody:
    try:
        body = parse_json(content)
    except ValueError:
        return _ErrorBody(message=content[:2000].decode("utf-8", "replace").strip() or None)
    return _read_object(body) if isinstance(body, Mapping) else _ErrorBody(message=_sentence(body))


def _read_object(body: Mapping[str, Any]) -> _ErrorBody:
    """Read each part from its place in the reference, or else from the other places where it was seen."""
    detail = body.get("detail")
    if isinstance(detail, Mapping):
        body = {**body, **detail}
    error = body.get("error")
    error_object: Mapping[str, Any] = error if isinstance(error, Mapping) else {}
    details = error_object.get("details", body.get("details"))
    details_object: Mapping[str, Any] = details if isinstance(details, Mapping) else {}

    levels = (details_object, error_object, body)
    code = _first(_code(level.get("code")) for level in (error_object, body, details_object)) or _code(error)
    code = code or (detail if isinstance(detail, str) and detail in CODES else None)
    messages = [_sentence(level.get("message")) for level in levels]
    messages += [_sentence(body.get("error_description")), _sentence(details), _sentence(detail)]
    messages += [error if isinstance(error, str) and error != code else None]
    message = _first(messages)
    return _ErrorBody(
        code=code,
        message=message,
        reason=_first(_sentence(level.get("reason")) for level in levels)
        or _first(other for other in messages if other != message),
        correlation_id=_first(_sentence(level.get("correlation_id")) for level in (error_object, body, details_object)),
        names_call=any(level.get("call_id") for level in levels),
        quota=QuotaExceededBody.model_validate({**body, **error_object, **details_object}),
    )


def _first(texts: Iterable[str | None]) -> str | None:
    return next((text for text in texts if text), None)


def _code(value: Any) -> str | None:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def _sentence(value: Any) -> str | None:
    """A text, or a list's texts, joined by semicolons; FastAPI's `{"loc": [...], "msg": ...}` counts as a text."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, list):
        # `sanitize` would cut the rest.
        return "; ".join(filter(None, map(_entry, value[:10]))) or None
    return None


def _entry(value: Any) -> str | None:
    if not isinstance(value, Mapping):
        return value if isinstance(value, str) else None
    message = next((text for name in ("msg", "message") if isinstance(text := value.get(name), str)), None)
    where = value.get("loc")
    if message and isinstance(where, list):
        return f"{'.'.join(str(part) for part in where if part != 'body') or 'body'}: {message}"
    return message
