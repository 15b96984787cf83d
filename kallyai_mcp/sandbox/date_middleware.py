"""Sets the `Date` of every response by the sandbox's clock, which tests can replace (RFC 9110, section 6.6.1)."""

from datetime import UTC
from email.utils import format_datetime

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kallyai_mcp.sandbox.clock import Clock


class DateMiddleware:
    """ASGI middleware: adds the `Date` header.

    Args:
        app: The app.
        clock: The sandbox's clock.
    """

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = self._clock.now().astimezone(UTC)
                MutableHeaders(scope=message)["Date"] = format_datetime(now, usegmt=True)
            await send(message)

        await self._app(scope, receive, send_dated)
