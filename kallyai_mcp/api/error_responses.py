"""From an answer's bytes to an error: every shape of error body, in the reference's format ("Error Codes") and not."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from kallyai_mcp.api.errors import CODES, BotCheckError, KallyAIError, QuotaExceededError, error_class
from kallyai_mcp.api.models import QuotaExceededBody
from kallyai_mcp.api.responses import Answer, parse_json

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,63}")
_SHORTEST_SECRET = 8
_CHALLENGES = (b"captcha", b"challenge", b"just a moment", b"attention required", b"unusual traffic", b"are human")
"""What a bot check's page says and an outage's page does not."""


_NO_QUOTA = QuotaExceededBody()


@dataclass(frozen=True)
class _Words:
    """What an error body says, each None when it does not."""

    code: str | None = None
    message: str | None = None
    reason: str | None = None
    correlation_id: str | None = None
    quota: QuotaExceededBody = _NO_QUOTA


def refusal(answer: Answer) -> KallyAIError:
    """Reads an answer that is not a success.

    Returns:
        The error to raise. Its code is the service's, word for word; `http_STATUS` when the body has none.
    """
    if 300 <= answer.status < 400:
        return _redirected(answer)
    words = _Words() if answer.is_web_page else _read_body(answer.body)
    kind, code = error_class(words.code, answer.status), words.code
    if code is None and _is_bot_check(answer):
        kind, code = BotCheckError, BotCheckError.default_code
    quota: dict[str, Any] = {}
    if issubclass(kind, QuotaExceededError):
        quota = words.quota.model_dump()
        if code is None and any(value is not None for value in quota.values()):
            code = QuotaExceededError.default_code

    def clean(text: str | None) -> str | None:
        for secret in answer.secrets:
            # Whatever is shorter is no token, and could be part of any word.
            if text and len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "[token]")
        return text

    return kind(
        clean(words.message) or _status_line(answer),
        code=clean(code) or f"http_{answer.status}",
        status=answer.status,
        reason=clean(words.reason),
        correlation_id=clean(words.correlation_id or answer.correlation_id),
        retry_after=retry_after(answer.headers),
        **quota,
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The `Retry-After` of an answer (RFC 9110, 10.2.3) in seconds from now.

    A date counts from the answer's own `Date`, so that this machine's clock may be wrong.

    Args:
        headers: Looked up by lower-case names.

    Returns:
        Seconds, never negative; None when the header is missing or unreadable.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value):
        return float(value)
    until = _http_date(value)
    if until is None:
        return None
    return max(0.0, (until - (_http_date(headers.get("date", "")) or datetime.now(UTC))).total_seconds())


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _status_line(answer: Answer) -> str:
    try:
        phrase = f" {HTTPStatus(answer.status).phrase}"
    except ValueError:
        phrase = ""
    return f"HTTP {answer.status}{phrase}{', with a web page in place of data' if answer.is_web_page else ''}"


def _redirected(answer: Answer) -> KallyAIError:
    try:
        where = urlsplit(answer.headers.get("location", "")).hostname or "another address"
    except ValueError:
        where = "an address that is none"
    return error_class(None, answer.status)(
        f"{_status_line(answer)}: KallyAI points to {where}, which was not followed. "
        "If it has moved there, KALLYAI_API_URL must name it",
        code="redirected",
        status=answer.status,
        correlation_id=answer.correlation_id,
    )


def _is_bot_check(answer: Answer) -> bool:
    """Whether a page comes from a bot check.

    A 503 needs a sign of it: an outage's page says nothing about whether the request got through, a bot check's does.
    """
    if not answer.is_web_page or answer.status not in (HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE):
        return False
    page = answer.body.lower()
    return (
        answer.status == HTTPStatus.FORBIDDEN
        or "cf-mitigated" in answer.headers
        or any(sign in page for sign in _CHALLENGES)
    )


def _read_body(content: bytes) -> _Words:
    try:
        body = parse_json(content)
    except ValueError:
        return _Words(message=content[:2000].decode("utf-8", "replace").strip() or None)
    return _read_object(body) if isinstance(body, Mapping) else _Words(message=_sentence(body))


def _read_object(body: Mapping[str, Any]) -> _Words:
    """Takes each word from where the reference has it, else from the other places it was seen in."""
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
    sayings = [_sentence(level.get("message")) for level in levels]
    sayings += [_sentence(body.get("error_description")), _sentence(details), _sentence(detail)]
    sayings += [error if isinstance(error, str) and error != code else None]
    message = _first(sayings)
    return _Words(
        code=code,
        message=message,
        reason=_first(_sentence(level.get("reason")) for level in levels)
        or _first(saying for saying in sayings if saying != message),
        correlation_id=_first(_sentence(level.get("correlation_id")) for level in (error_object, body, details_object)),
        quota=QuotaExceededBody.model_validate({**body, **error_object, **details_object}),
    )


def _first(texts: Iterable[str | None]) -> str | None:
    return next((text for text in texts if text), None)


def _code(value: Any) -> str | None:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def _sentence(value: Any) -> str | None:
    """Text, or the texts of a list with semicolons between them; FastAPI's `{"loc": [...], "msg": ...}` as both."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, list):
        # More than a handful would be cut anyway.
        return "; ".join(filter(None, map(_entry, value[:10]))) or None
    return None


def _entry(value: Any) -> str | None:
    if not isinstance(value, Mapping):
        return value if isinstance(value, str) else None
    saying = next((text for name in ("msg", "message") if isinstance(text := value.get(name), str)), None)
    where = value.get("loc")
    if saying and isinstance(where, list):
        return f"{'.'.join(str(part) for part in where if part != 'body') or 'body'}: {saying}"
    return saying
