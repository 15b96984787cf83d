"""Answers exceptions that no handler caught in the reference's error format."""

import logging

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kallyai_mcp.sandbox.errors import ApiError, error_body

_logger = logging.getLogger(__name__)


class ErrorMiddleware:
    """ASGI middleware: turns an exception into a 500 without its text, and logs it with the response's correlation id.

    Starlette's own error middleware can't be used: it raises the exception again after it has answered.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        response_started = False

        async def watch_send(message: Message) -> None:
            nonlocal response_started
            response_started = response_started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch_send)
        except Exception:
            if response_started or scope["type"] != "http":
                raise  # it is too late for another response
            body = error_body(ApiError(500, "internal_error", "The sandbox failed", "This is a defect; see its log"))
            _logger.exception("unhandled exception, correlation_id %s", body["error"]["correlation_id"])
            await JSONResponse(body, status_code=500)(scope, receive, send)
