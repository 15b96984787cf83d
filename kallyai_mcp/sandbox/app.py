"""The sandbox's ASGI application: every endpoint of the reference, its control endpoints, and its
web pages.
"""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from kallyai_mcp.sandbox import call_endpoints, control_endpoints, pages, play, user_endpoints
from kallyai_mcp.sandbox.auth import browser_endpoints, identity_providers, token_endpoints
from kallyai_mcp.sandbox.clock import Clock
from kallyai_mcp.sandbox.errors import install_error_handlers
from kallyai_mcp.sandbox.fault_middleware import FaultMiddleware
from kallyai_mcp.sandbox.middleware import ResponseMiddleware
from kallyai_mcp.sandbox.schemas import errors
from kallyai_mcp.sandbox.simulator.scenario import Line
from kallyai_mcp.sandbox.state import Sandbox

_REFERENCE_VERSION = "1"
_FRAMEWORK_ERROR = "#/components/schemas/HTTPValidationError"
_VALIDATION_ERROR = {
    "description": errors(400)[400]["description"],
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}},
}


class SandboxApp(FastAPI):
    """FastAPI with fault injection, and with the reference's validation error in its OpenAPI
    document.
    """

    def build_middleware_stack(self) -> ASGIApp:
        """Return FastAPI's middleware stack inside the fault middleware.

        `add_middleware` can't do this: Starlette always puts its own error middleware outside of
        what it adds.
        """
        return FaultMiddleware(super().build_middleware_stack(), self.state.sandbox)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, with the reference's 400 in place of FastAPI's 422 for
        invalid requests.
        """
        if self.openapi_schema:
            return self.openapi_schema
        document = super().openapi()
        for methods in document["paths"].values():
            for operation in methods.values():
                responses = operation["responses"]
                if _FRAMEWORK_ERROR in str(responses.get("422")):
                    del responses["422"]
                    inputs = {parameter["in"] for parameter in operation.get("parameters", [])}
                    # A path takes any text, so it can't fail.
                    if "requestBody" in operation or inputs - {"path"}:
                        responses.setdefault("400", _VALIDATION_ERROR)
        for name in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(name, None)
        return document


def create_app(
    *,
    data: Path | None = None,
    speed: float = 1.0,
    clock: Clock | None = None,
    lines: Iterable[Line] = (),
    plays: bool = False,
) -> SandboxApp:
    """Create a local KallyAI, to serve with uvicorn (`serve.running`) or in-process with an ASGI
    transport.

    It needs no lifespan events. Several processes may serve the same `data`, an SQLite file; None
    is a database in memory. `speed` is above 0; 1 is that of real calls. With `plays`, somebody
    plays the callee on all lines except `lines` and the test numbers. `app.state.sandbox` is its
    `Sandbox`; the caller closes it.

    Raises:
        ValueError: `speed` is not a finite number above 0.
        sqlite3.Error: `data` can't be opened, or is not a database.
    """
    description = (files("kallyai_mcp.sandbox") / "api.md").read_text(encoding="utf-8")
    app = SandboxApp(
        title="KallyAI sandbox", version=_REFERENCE_VERSION, description=description, redoc_url=None
    )
    app.state.sandbox = Sandbox(data, speed, clock or Clock(), lines, plays=plays)
    app.router.routes.extend(_endpoints().routes)
    install_error_handlers(app, pages.not_found_page)
    app.add_middleware(ResponseMiddleware, clock=app.state.sandbox.clock)
    return app


@cache
def _endpoints() -> APIRouter:
    """All endpoints, which have no state of their own.

    All applications of a process share them: FastAPI takes longer to prepare them than to answer a
    dozen requests.
    """
    router = APIRouter()
    parts = (
        call_endpoints,
        user_endpoints,
        browser_endpoints,
        token_endpoints,
        identity_providers,
        control_endpoints,
        play,
        pages,
    )
    for part in parts:
        router.include_router(part.router)
    return router
