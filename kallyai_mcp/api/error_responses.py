"""Reads error responses: bodies in the reference's format ("Error Codes"), and in the others that
were seen.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
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
from kallyai_mcp.api.values import object_in

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,63}")
_SHORTEST_SECRET = 8
"""The fewest characters of a secret that is removed from texts.

A shorter one could be part of any word.
"""


@dataclass(frozen=True)
class _ErrorBody:
    """The parts of an error body; None for a part that it lacks.

    `fields` has all fields, wherever they were.
    """

    code: str | None = None
    message: str | None = None
    reason: str | None = None
    correlation_id: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


def error_from(request: ApiRequest, response: ApiResponse) -> KallyAIError:
    """The error for a response that is not a success.

    Its code is that of the body, unchanged, or `http_STATUS`. It is `ResponseLostError` if KallyAI
    may have acted on a POST: after 303, whose response is at another URL (RFC 9110, section
    15.4.4), and if the body has the id of a call.
    """
    given = _read_body(response.body)
    body = _usable(given, response)
    kind: type[KallyAIError] = error_class(body.code, response.status)
    default_code = f"http_{response.status}"
    quota: dict[str, Any] = {}
    if _may_have_acted(request, response, given):
        kind = ResponseLostError
    elif kind is QuotaExceededError:
        default_code = kind.default_code
        quota = QuotaExceededBody.model_validate(body.fields).model_dump()
    clean = partial(_cleaned, secrets=request.secrets)
    return kind(
        clean(body.message) or _status_line(response),
        code=clean(body.code) or default_code,
        status=response.status,
        reason=clean(body.reason),
        correlation_id=clean(body.correlation_id or response.correlation_id),
        retry_after=None if kind is ResponseLostError else retry_after(response.headers),
        **quota,
    )


def _usable(given: _ErrorBody, response: ApiResponse) -> _ErrorBody:
    """The body, or what this program says in place of one that is not KallyAI's."""
    if 300 <= response.status < 400:
        return _redirected(response)
    if response.is_web_page:
        # KallyAI's bot check answers 403 with a page. Pages of outages have the same words, but
        # another status.
        return _ErrorBody("bot_check" if response.status == HTTPStatus.FORBIDDEN else None)
    return given


def _may_have_acted(request: ApiRequest, response: ApiResponse, body: _ErrorBody) -> bool:
    """Whether KallyAI may have done what a request asks for, although this is no success."""
    names_call = bool(body.fields.get("call_id"))
    is_elsewhere = response.status == HTTPStatus.SEE_OTHER
    return request.method == "POST" and (is_elsewhere or names_call)


def _cleaned(text: str | None, secrets: Sequence[str]) -> str | None:
    """A text without the secrets of its request."""
    if text is None:
        return None
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "[token]")
    return text


def _status_line(response: ApiResponse) -> str:
    line = status_line(response.status)
    return line + WITH_PAGE if response.is_web_page else line


def _redirected(response: ApiResponse) -> _ErrorBody:
    where = None
    with suppress(ValueError):
        where = urlsplit(response.headers.get("location", "")).hostname
    message = (
        f"{_status_line(response)}: KallyAI points to {where or 'another address'}, which "
        "was not followed. "
    )
    return _ErrorBody("redirected", f"{message}If it has moved there, KALLYAI_API_URL must name it")


def _read_body(content: bytes) -> _ErrorBody:
    """Read each part from its place in the reference, or else from the other places where it was
    seen.
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return _ErrorBody(message=content[:2000].decode("utf-8", "replace").strip() or None)
    if not isinstance(body, Mapping):
        return _ErrorBody(message=_sentence(body))
    detail = body.get("detail")
    body = {**body, **object_in(detail)}
    error = body.get("error", detail)
    details = object_in(error).get("details", body.get("details"))
    levels = (object_in(details), object_in(error), body)
    code = _as_code(_first(levels, "code") or _sentence(error))
    given = [*_each(levels, "message"), body.get("error_description"), details, detail, error]
    words = iter(_texts_in(given, besides=code))
    return _ErrorBody(
        code,
        message=next(words, None),
        reason=_first(levels, "reason") or next(words, None),
        correlation_id=_first(levels, "correlation_id"),
        fields={**body, **object_in(error), **object_in(details)},
    )


def _as_code(text: str | None) -> str | None:
    """A text that may be a code, and is no sentence; else None."""
    return text if _CODE.fullmatch(text or "") else None


def _texts_in(values: Iterable[Any], *, besides: str | None) -> Collection[str]:
    """The texts among some values, each once, without one that is known."""
    texts = dict.fromkeys(filter(None, map(_sentence, values)))
    texts.pop(besides or "", None)
    return texts


def _each(levels: Iterable[Mapping[str, Any]], name: str) -> list[Any]:
    """A field of each level, None where it is missing."""
    return [level.get(name) for level in levels]


def _first(levels: Iterable[Mapping[str, Any]], name: str) -> str | None:
    """The text in the first of the levels that has one."""
    return next(filter(None, map(_sentence, _each(levels, name))), None)


def _sentence(value: Any) -> str | None:
    """A text, or a list's texts, joined by semicolons; FastAPI's `{"loc": [...], "msg": ...}`
    counts as a text.
    """
    if isinstance(value, list):
        # `sanitize` would cut the rest.
        value = "; ".join(filter(None, map(_entry, value[:10])))
    if not isinstance(value, str):
        return None
    return value.strip() or None


def _entry(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    fields = object_in(value)
    message = _sentence(fields.get("msg")) or _sentence(fields.get("message"))
    where = fields.get("loc")
    if message is None or not isinstance(where, list):
        return message
    path = ".".join(str(part) for part in where if part != "body")
    return f"{path or 'body'}: {message}"
