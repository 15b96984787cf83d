"""What the sign-in needs of the sandbox around it, and what all its answers have in common."""

from typing import Annotated, Any, Protocol, cast

from fastapi import Depends, Request, Response

from kallyai_mcp.sandbox.clock import Clock
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.schemas import ErrorResponse
from kallyai_mcp.sandbox.store import Store

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""RFC 6749, section 5.1: on every answer with a token in it. Here: on every answer of the sign-in."""


class SandboxState(Protocol):
    """The part of `app.state.sandbox` that the sign-in uses."""

    @property
    def store(self) -> Store:
        """The database that holds the tables of `AUTH_SCHEMA`."""
        ...

    @property
    def clock(self) -> Clock:
        """The only source of time."""
        ...


async def _sandbox(request: Request) -> SandboxState:
    return cast("SandboxState", request.app.state.sandbox)


Sandbox = Annotated[SandboxState, Depends(_sandbox)]
"""A handler's parameter of this type is `app.state.sandbox`."""


async def _set_no_store(response: Response) -> None:
    response.headers.update(NO_STORE)


no_store = Depends(_set_no_store)
"""For a router: none of its answers is kept by a cache."""


def epoch(sandbox: SandboxState) -> float:
    """The sandbox's present moment, in seconds since 1970."""
    return sandbox.clock.now().timestamp()


def refusal(
    status: int, code: str, message: str, reason: str | None = None, *, challenge: str | None = None
) -> ApiError:
    """An error in the reference's format that no cache keeps.

    Args:
        status: The HTTP status.
        code: `error.code`.
        message: `error.details.message`.
        reason: `error.details.reason`.
        challenge: The `WWW-Authenticate` header, which a 401 must have.
    """
    headers = NO_STORE | ({"WWW-Authenticate": challenge} if challenge else {})
    return ApiError(status, code, message, reason, headers)


def documented_errors(**errors: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an endpoint, for `/openapi.json`.

    Args:
        errors: What each error means, by its status with an underscore before it: `_401="the token has expired"`.
    """
    return {int(status[1:]): {"description": words, "model": ErrorResponse} for status, words in errors.items()}


def documented_page(refused: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an endpoint that answers with a page, and with a page or JSON when it refuses with 400.

    Args:
        refused: What the 400 means.
    """
    error = {"schema": {"$ref": f"#/components/schemas/{ErrorResponse.__name__}"}}
    return {400: {"description": refused, "content": {"application/json": error, "text/html": {}}}}
