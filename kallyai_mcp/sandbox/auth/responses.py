"""The headers, errors, and OpenAPI entries of the sign-in's endpoints."""

from typing import Any

from fastapi import Depends, Response

from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.schemas import ErrorResponse

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""RFC 6749, section 5.1, requires these headers in responses with tokens; all responses of the sign-in have them."""


async def _set_no_store(response: Response) -> None:
    response.headers.update(NO_STORE)


no_store = Depends(_set_no_store)
"""A dependency for a router: sets `NO_STORE` in its responses."""


def auth_error(
    status: int, code: str, message: str, reason: str | None = None, *, challenge: str | None = None
) -> ApiError:
    """Return an error in the reference's format with the headers of `NO_STORE`.

    Args:
        status: The HTTP status.
        code: `error.code`.
        message: `error.details.message`.
        reason: `error.details.reason`.
        challenge: The `WWW-Authenticate` header; required for a 401.
    """
    headers = NO_STORE | ({"WWW-Authenticate": challenge} if challenge else {})
    return ApiError(status, code, message, reason, headers)


def documented_errors(errors: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of an endpoint for its OpenAPI document, from the description of each error by status."""
    return {status: {"description": message, "model": ErrorResponse} for status, message in errors.items()}


def documented_page(description: str) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of an endpoint that answers with a page, and whose 400 is a page or JSON.

    Args:
        description: The description of the 400.
    """
    error = {"schema": {"$ref": f"#/components/schemas/{ErrorResponse.__name__}"}}
    return {400: {"description": description, "content": {"application/json": error, "text/html": {}}}}
