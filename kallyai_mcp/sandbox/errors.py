"""The sandbox's errors in the reference's "Standard Error Format"."""

import uuid
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from kallyai_mcp.sandbox.simulator.scenario import RefusalCode


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


_REFUSAL_RESPONSES: dict[RefusalCode, tuple[int, str]] = {
    "missing_phone_number": (422, "There is no phone number to call"),
    "emergency_number": (422, "Emergency numbers can't be called"),
    "toll_number": (422, "Premium-rate numbers can't be called"),
    "blocked_number": (403, "This number is flagged as fraud"),
    "suppression_violation": (403, "This number is on the do-not-call list"),
    "consent_denied": (422, "Consent to this call was declined"),
    "safety_violation": (422, "The content of this call violates the guidelines"),
    "scheduling_violation": (422, "The date or time is not valid"),
    "country_restriction": (403, "Your account can't call this country"),
    "unsupported_country": (403, "Calls to this country are not supported"),
    "unsupported_language": (422, "This language is not supported"),
    "missing_token": (401, "There is no access token"),
    "forbidden": (403, "The token lacks a scope"),
    "phone_not_provisioned": (400, "No line is provisioned for this account"),
    "rate_limited": (429, "Too many calls; try again later"),
}
"""HTTP status and message of each refusal, except `quota_exceeded`, by code."""


def refusal(code: RefusalCode, reason: str | None = None) -> ApiError:
    """Return the error with which a call is refused, for every code except `quota_exceeded`."""
    status, message = _REFUSAL_RESPONSES[code]
    return ApiError(status, code, message, reason, {"Retry-After": "1"} if status == 429 else None)


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
