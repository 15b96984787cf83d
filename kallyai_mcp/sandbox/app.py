"""The sandbox's ASGI application: every endpoint of the reference, its control endpoints, and its web pages."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp

from kallyai_mcp.sandbox import (
    billing_portal,
    call_endpoints,
    control_endpoints,
    docs_page,
    page_rendering,
    play_endpoints,
    play_page,
    user_endpoints,
)
from kallyai_mcp.sandbox.auth import browser_endpoints, identity_providers, token_endpoints
from kallyai_mcp.sandbox.clock import Clock
from kallyai_mcp.sandbox.date_middleware import DateMiddleware
from kallyai_mcp.sandbox.error_middleware import ErrorMiddleware
from kallyai_mcp.sandbox.errors import install_error_handlers
from kallyai_mcp.sandbox.fault_middleware import FaultMiddleware
from kallyai_mcp.sandbox.schemas import ErrorResponse, errors
from kallyai_mcp.sandbox.simulator.scenario import Line
from kallyai_mcp.sandbox.state import Sandbox

_REFERENCE_VERSION = "1"
_FRAMEWORK_ERROR = "#/components/schemas/HTTPValidationError"


class SandboxApp(FastAPI):
    """FastAPI with fault injection, and with the reference's validation error in its OpenAPI document.

    FastAPI documents a 422 with its own format for invalid requests; the sandbox answers 400 in the reference's format.
    `state.sandbox` must be set before the first request.
    """

    def build_middleware_stack(self) -> ASGIApp:
        """Return FastAPI's middleware stack inside the fault middleware.

        `add_middleware` can't do this: Starlette always puts its own error middleware outside of what it adds.
        """
        return FaultMiddleware(super().build_middleware_stack(), self.state.sandbox)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document that `/openapi.json` serves."""
        if not self.openapi_schema:
            document = get_openapi(
                title=self.title,
                version=self.version,
                description=self.description,
                routes=self.routes,
                separate_input_output_schemas=self.separate_input_output_schemas,
            )
            _document_validation_errors(document)
            self.openapi_schema = document
        return self.openapi_schema


def _document_validation_errors(document: dict[str, Any]) -> None:
    """Replace FastAPI's 422 with the reference's 400 in an OpenAPI document."""
    not_valid = {
        "description": errors(400)[400]["description"],
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{ErrorResponse.__name__}"}}},
    }
    for methods in document["paths"].values():
        for operation in methods.values():
            responses = operation["responses"]
            if _FRAMEWORK_ERROR in str(responses.get("422")):
                del responses["422"]
                inputs = {parameter["in"] for parameter in operation.get("parameters", [])}
                if "requestBody" in operation or inputs - {"path"}:  # a path parameter takes any text, so it can't fail
                    responses.setdefault("400", not_valid)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def create_app(
    *,
    data: Path | None = None,
    speed: float = 1.0,
    clock: Clock | None = None,
    lines: Iterable[Line] = (),
    plays: bool = False,
) -> SandboxApp:
    """Create a local KallyAI, to serve with uvicorn (`serve.running`) or in-process with `httpx2.ASGITransport`.

    It needs no lifespan events. Several processes may serve the same `data`.

    Args:
        data: The SQLite file that stores everything; it is created if it is missing. None stores everything in memory.
        speed: The speed of the calls, above 0; 1 is that of real calls.
        clock: The source of time; None for the machine's clock.
        lines: What happens on the lines of these numbers, as in a scenario file.
        plays: On all lines but these and the test numbers, somebody plays the callee; see `play_endpoints`.

    Returns:
        The application. `app.state.sandbox` is its `Sandbox`; the caller closes it.

    Raises:
        ValueError: `speed` is not a finite number above 0.
        sqlite3.Error: `data` can't be opened, or is not a database.
    """
    app = SandboxApp(
        title="KallyAI sandbox",
        version=_REFERENCE_VERSION,
        description="A complete KallyAI on this machine. No real phone call is placed, and nothing costs money.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.sandbox = Sandbox(data, speed, clock or Clock(), lines, plays=plays)
    app.router.routes.extend(_endpoints().routes)
    install_error_handlers(app)
    app.add_middleware(ErrorMiddleware)
    app.add_middleware(DateMiddleware, clock=app.state.sandbox.clock)
    return app


@cache
def _endpoints() -> APIRouter:
    """All endpoints, which have no state of their own.

    All applications of a process share them: FastAPI takes longer to prepare them than to answer a dozen requests.
    """
    router = APIRouter()
    for part in (
        call_endpoints,
        user_endpoints,
        browser_endpoints,
        token_endpoints,
        identity_providers,
        billing_portal,
        control_endpoints,
        play_endpoints,
        play_page,
        docs_page,
        page_rendering,
    ):
        router.include_router(part.router)
    return router
