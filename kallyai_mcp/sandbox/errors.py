"""The sandbox's errors in the reference's "Standard Error Format"."""

import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from kallyai_mcp.sandbox.simulator.scenario import RefusalCode


class ApiError(Exception):
    """An error response of the API: its status, code, `details.message`, `details.reason`, and
    other headers.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        reason: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.reason = reason
        self.headers = headers


_REFUSAL_RESPONSES: dict[RefusalCode, tuple[int, str, str]] = {
    "missing_phone_number": (422, "There is no phone number to call", "Set respondent_phone"),
    "emergency_number": (422, "Emergency numbers can't be called", "Call the number yourself, now"),
    "toll_number": (422, "Premium-rate numbers can't be called", "Calls to this number cost extra"),
    "blocked_number": (403, "This number is flagged as fraud", "Do not call it"),
    "suppression_violation": (
        403,
        "This number is on the do-not-call list",
        "Its owner does not want calls",
    ),
    "consent_denied": (422, "Consent to this call was declined", "The user declined it"),
    "safety_violation": (
        422,
        "The content of this call violates the guidelines",
        "Change what is asked for",
    ),
    "scheduling_violation": (422, "The date or time is not valid", "Change the date or time"),
    "country_restriction": (403, "Your account can't call this country", "Another account may"),
    "unsupported_country": (
        403,
        "Calls to this country are not supported",
        "No account may call it",
    ),
    "unsupported_language": (422, "This language is not supported", "Supported languages: en, es"),
    "missing_token": (401, "There is no access token", "Send an Authorization header"),
    "forbidden": (403, "The token lacks a scope", "Sign in again"),
    "phone_not_provisioned": (
        400,
        "No line is provisioned for this account",
        "It has no number to call from",
    ),
    "rate_limited": (429, "Too many calls; try again later", "Wait for the seconds in Retry-After"),
}
"""HTTP status, message, and default reason of each refusal, except `quota_exceeded`, by code."""


def refusal(code: RefusalCode, reason: str | None = None) -> ApiError:
    """Return the error with which a call is refused, for every code except `quota_exceeded`."""
    status, message, why = _REFUSAL_RESPONSES[code]
    headers = {"Retry-After": "1"} if status == 429 else None
    return ApiError(status, code, message, reason or why, headers)


class QuotaExceededError(ApiError):
    """402: the body has the fields of the reference's QuotaExceededResponse and the standard
    error.
    """

    def __init__(self, quota: dict[str, Any]) -> None:
        reason = f"They come back with the next period; for more now, see {quota['upgrade_url']}"
        super().__init__(
            402, "quota_exceeded", "You have used all the minutes or calls of your plan", reason
        )
        self.quota = quota


def error_body(error: ApiError) -> dict[str, Any]:
    """Return the response body of `error`, with a new correlation id."""
    details = {"message": error.message, "reason": error.reason}
    body: dict[str, Any] = {
        "error": {"code": error.code, "details": details, "correlation_id": str(uuid.uuid4())}
    }
    if isinstance(error, QuotaExceededError):
        body |= error.quota
    return body


def _respond(error: ApiError) -> JSONResponse:
    return JSONResponse(error_body(error), status_code=error.status, headers=error.headers)


def validation_reason(error: RequestValidationError) -> str:
    """Return the `details.reason` of a request that is not valid: its fields, and what is wrong
    with each.
    """
    reasons = [
        f"{'.'.join(map(str, each['loc'][1:])) or 'body'}: {each['msg']}" for each in error.errors()
    ]
    # A field name in JSON may contain a lone surrogate, which can't be encoded as UTF-8.
    return "; ".join(reasons).encode("utf-8", "backslashreplace").decode("utf-8")


def _wants_page(request: Request, status: int) -> bool:
    """Whether a browser, which names HTML, asks for what is not there; programs take anything or
    JSON.
    """
    return status == 404 and "text/html" in request.headers.get("accept", "")


def install_error_handlers(app: FastAPI, not_found_page: Callable[[Request], Response]) -> None:
    """Make `app` answer every error in the reference's format, including the errors of FastAPI and
    Starlette. A browser gets `not_found_page` where there is nothing.
    """

    @app.exception_handler(ApiError)
    async def on_api_error(request: Request, error: ApiError) -> Response:
        if _wants_page(request, error.status):
            return not_found_page(request)
        return _respond(error)

    @app.exception_handler(RequestValidationError)
    async def on_validation_error(_: Request, error: RequestValidationError) -> JSONResponse:
        return _respond(
            ApiError(400, "validation_error", "The request is not valid", validation_reason(error))
        )

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:
        if _wants_page(request, error.status_code):
            return not_found_page(request)
        if error.status_code == 400:  # FastAPI could not decode the body
            return _respond(
                ApiError(400, "validation_error", "The request is not valid", str(error.detail))
            )
        phrase = HTTPStatus(error.status_code).phrase
        headers = dict(error.headers or {})
        reason = f"There is nothing at {request.url.path}"
        if error.status_code == 405:
            allowed = _methods(app, request)
            headers["Allow"] = ", ".join(allowed)  # Starlette names those of the first route only
            reason = f"{request.url.path} takes {', '.join(allowed)}"
        return _respond(
            ApiError(error.status_code, phrase.lower().replace(" ", "_"), phrase, reason, headers)
        )


def _methods(app: FastAPI, request: Request) -> list[str]:
    """Return the methods that the path of a request takes."""

    def takes(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in app.routes)

    return [method for method in ("DELETE", "GET", "PATCH", "POST", "PUT") if takes(method)]
