"""The sandbox as one ASGI application: every endpoint of the reference, and pages for people."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp

from kallyai_mcp.sandbox import (
    auth,
    billing_portal,
    call_endpoints,
    control_endpoints,
    docs_page,
    page_rendering,
    user_endpoints,
)
from kallyai_mcp.sandbox.clock import Clock, SystemClock
from kallyai_mcp.sandbox.error_middleware import ErrorMiddleware
from kallyai_mcp.sandbox.errors import install_error_handlers
from kallyai_mcp.sandbox.fault_middleware import FaultMiddleware
from kallyai_mcp.sandbox.schemas import ErrorResponse, errors
from kallyai_mcp.sandbox.state import Sandbox

_REFERENCE_VERSION = "1"
_FRAMEWORK_ERROR = "#/components/schemas/HTTPValidationError"


class SandboxApp(FastAPI):
    """FastAPI that can be made to fail, with an OpenAPI document that tells the truth about errors.

    FastAPI documents its own validation error, 422 in a format of its own; here a request that is not valid is
    answered with 400 in the reference's. Its `state.sandbox` must be there before the first request.
    """

    def build_middleware_stack(self) -> ASGIApp:
        """The whole application, within the layer that acts faults out.

        No middleware of FastAPI's can be outermost: around all of them stands one that answers exceptions with 500.
        """
        return FaultMiddleware(super().build_middleware_stack(), self.state.sandbox)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, also at `/openapi.json`."""
        if not self.openapi_schema:
            document = get_openapi(
                title=self.title,
                version=self.version,
                description=self.description,
                routes=self.routes,
                separate_input_output_schemas=self.separate_input_output_schemas,
            )
            _tell_the_truth(document)
            self.openapi_schema = document
        return self.openapi_schema


def _tell_the_truth(document: dict[str, Any]) -> None:
    """Put the reference's 400 where FastAPI wrote down its own 422."""
    not_valid = {
        "description": errors(400)[400]["description"],
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{ErrorResponse.__name__}"}}},
    }
    for methods in document["paths"].values():
        for operation in methods.values():
            answers = operation["responses"]
            if _FRAMEWORK_ERROR in str(answers.get("422")):
                del answers["422"]
                inputs = {parameter["in"] for parameter in operation.get("parameters", [])}
                if "requestBody" in operation or inputs - {"path"}:  # any text is a path, so none is refused
                    answers.setdefault("400", not_valid)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def create_app(*, data: Path | None = None, speed: float = 1.0, clock: Clock | None = None) -> SandboxApp:
    """A complete local KallyAI, for uvicorn (`serve.running`) or in-process through `httpx.ASGITransport`.

    It needs no lifespan events. Several processes may serve the same `data`.

    Args:
        data: The SQLite file that keeps everything, made if it is missing; None keeps everything in memory.
        speed: How many times faster than a real conversation a call goes by; above 0.
        clock: Where the time comes from; None for the machine's clock.

    Returns:
        The application; `app.state.sandbox` is its `Sandbox`, whose `close()` ends it.

    Raises:
        ValueError: `speed` is not a finite number above 0.
        sqlite3.Error: `data` can't be opened, or is no database.
    """
    app = SandboxApp(
        title="KallyAI sandbox",
        version=_REFERENCE_VERSION,
        description="A complete KallyAI on this machine. No telephone rings, and nothing costs money.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.sandbox = Sandbox(data, speed, clock or SystemClock())
    for part in (
        call_endpoints,
        user_endpoints,
        auth,
        billing_portal,
        control_endpoints,
        docs_page,
        page_rendering,
    ):
        app.include_router(part.router)
    install_error_handlers(app)
    app.add_middleware(ErrorMiddleware)
    return app
