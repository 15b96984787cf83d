"""What every response gets: a `Date` by the sandbox's clock, and the reference's format if the
sandbox fails.
"""

import logging
from datetime import UTC
from email.utils import format_datetime

from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kallyai_mcp.sandbox.clock import Clock
from kallyai_mcp.sandbox.errors import ApiError, error_body

_logger = logging.getLogger(__name__)


class ResponseMiddleware:
    """ASGI middleware: dates each response, and turns an exception into a 500 without its text,
    which it logs.

    Starlette's own error middleware can't be used: it raises the exception again after it has
    answered.
    """

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        has_started = False

        async def send_dated(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                # Which tests can replace (RFC 9110, section 6.6.1).
                now = self._clock.now().astimezone(UTC)
                MutableHeaders(scope=message)["Date"] = format_datetime(now, usegmt=True)
            await send(message)

        try:
            await self._app(scope, receive, send_dated)
        except Exception:
            if has_started or scope["type"] != "http":
                raise  # it is too late for another response
            body = error_body(
                ApiError(
                    500, "internal_error", "The sandbox failed", "This is a defect; see its log"
                )
            )
            _logger.exception(
                "unhandled exception, correlation_id %s", body["error"]["correlation_id"]
            )
            await JSONResponse(body, status_code=500)(scope, receive, send_dated)
