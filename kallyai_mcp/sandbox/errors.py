"""The sandbox's errors in the reference's "Standard Error Format"."""

import uuid
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException


class ApiError(Exception):
    """An error response of the API.

    Args:
        status: The HTTP status.
        code: A code of the reference's "Error Code Reference", or the HTTP status phrase in snake case.
        message: `details.message`, for people.
        reason: `details.reason`; None leaves it out.
        headers: Additional response headers, such as `Retry-After`.
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
    """402: the body has the fields of the reference's QuotaExceededResponse and the standard error."""

    def __init__(self, quota: dict[str, Any]) -> None:
        super().__init__(402, "quota_exceeded", "You have used all the minutes or calls of your plan")
        self.quota = quota


def error_body(error: ApiError) -> dict[str, Any]:
    """Return the response body of `error`, with a new correlation id."""
    details = {"message": error.message} | ({"reason": error.reason} if error.reason else {})
    body: dict[str, Any] = {
        "error": {"code": error.code, "details": details, "correlation_id": str(uuid.uuid4())},
    }
    if isinstance(error, QuotaExceededError):
        body |= error.quota
    return body


def _respond(error: ApiError) -> JSONResponse:
    return JSONResponse(error_body(error), status_code=error.status, headers=error.headers)


def validation_reason(error: RequestValidationError) -> str:
    """Return the `details.reason` of a request that is not valid: its fields, and what is wrong with each."""
    reasons = (f"{'.'.join(str(part) for part in e['loc'][1:]) or 'body'}: {e['msg']}" for e in error.errors())
    # A field name in JSON may contain a lone surrogate, which can't be encoded as UTF-8.
    return "; ".join(reasons).encode("utf-8", "backslashreplace").decode("utf-8")


def install_error_handlers(app: FastAPI) -> None:
    """Make `app` answer every error in the reference's format, including the errors of FastAPI and Starlette."""

    @app.exception_handler(ApiError)
    async def on_api_error(_: Request, error: ApiError) -> JSONResponse:
        return _respond(error)

    @app.exception_handler(RequestValidationError)
    async def on_validation_error(_: Request, error: RequestValidationError) -> JSONResponse:
        return _respond(ApiError(400, "validation_error", "The request is not valid", validation_reason(error)))

    @app.exception_handler(HTTPException)
    async def on_http_error(_: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400:  # FastAPI could not decode the body
            return _respond(ApiError(400, "validation_error", "The request is not valid", str(error.detail)))
        phrase = HTTPStatus(error.status_code).phrase
        code = phrase.lower().replace(" ", "_")
        return _respond(ApiError(error.status_code, code, phrase, headers=dict(error.headers or {})))
