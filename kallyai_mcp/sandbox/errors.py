"""Every error of the sandbox, in the reference's standard format ("Error Codes")."""

import uuid
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException


class ApiError(Exception):
    """An answer of the API that is an error.

    Args:
        status: The HTTP status.
        code: A code of the reference's "Error Code Reference", or one of HTTP's own words in snake case.
        message: What a person reads (`details.message`).
        reason: More context (`details.reason`); left out when there is none.
        headers: Further response headers, such as `Retry-After`.
    """

    def __init__(
        self, status: int, code: str, message: str, reason: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.reason = reason
        self.headers = headers


class QuotaExceededError(ApiError):
    """402: the body carries the reference's QuotaExceededResponse beside the standard error."""

    def __init__(self, quota: dict[str, Any]) -> None:
        super().__init__(402, "quota_exceeded", "You have used all the minutes or calls of your plan")
        self.quota = quota


def error_body(error: ApiError) -> dict[str, Any]:
    """The reference's standard error format, with a correlation id of its own."""
    details = {"message": error.message} | ({"reason": error.reason} if error.reason else {})
    body: dict[str, Any] = {
        "error": {"code": error.code, "details": details, "correlation_id": str(uuid.uuid4())},
    }
    if isinstance(error, QuotaExceededError):
        body |= error.quota
    return body


def _respond(error: ApiError) -> JSONResponse:
    return JSONResponse(error_body(error), status_code=error.status, headers=error.headers)


async def _on_api_error(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, ApiError)  # noqa: S101 - the registration below sends nothing else here
    return _respond(exc)


async def _on_validation_error(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - as above
    where = "; ".join(f"{'.'.join(str(part) for part in e['loc'][1:]) or 'body'}: {e['msg']}" for e in exc.errors())
    # JSON can hold half a surrogate pair in a field's name, which no UTF-8 answer can hold.
    where = where.encode("utf-8", "backslashreplace").decode("utf-8")
    return _respond(ApiError(400, "validation_error", "The request is not valid", where))


async def _on_http_error(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)  # noqa: S101 - as above
    if exc.status_code == 400:  # a body that can't even be decoded
        return _respond(ApiError(400, "validation_error", "The request is not valid", str(exc.detail)))
    words = HTTPStatus(exc.status_code).phrase
    return _respond(ApiError(exc.status_code, words.lower().replace(" ", "_"), words, headers=dict(exc.headers or {})))


def install_error_handlers(app: FastAPI) -> None:
    """Make `app` answer every error in the reference's format, the framework's own ones too."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)
