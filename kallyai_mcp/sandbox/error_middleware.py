"""The last line of defence: a defect of the sandbox itself is answered in the reference's format, too."""

import logging

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kallyai_mcp.sandbox.errors import ApiError, error_body

_logger = logging.getLogger(__name__)


class ErrorMiddleware:
    """ASGI middleware: an exception that nobody handled becomes a 500 without internals, and is logged with its id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            if begun or scope["type"] != "http":
                raise  # half an answer can't be taken back
            body = error_body(ApiError(500, "internal_error", "The sandbox failed", "This is a defect; see its log"))
            _logger.exception("unhandled, correlation_id %s", body["error"]["correlation_id"])
            await JSONResponse(body, status_code=500)(scope, receive, send)
