"""The session ids of clients at `/mcp` with protocol versions up to 2025-11-25. The server keeps no sessions.

An id only identifies a client, so that a notification can cancel its request (`server/cancellations.py`), and a load
balancer can send both to one worker. Every worker accepts every id, and an id gives no access.
"""

import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class SessionIds:
    """ASGI middleware that adds an id to the response to a client's first request.

    It answers 405 to GET, because that stream would stay empty.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["method"] == "GET":
            text = "There is no stream to open here; results come in the response to their request."
            await PlainTextResponse(text, 405, headers={"Allow": "POST"})(scope, receive, send)
            return
        headers = Headers(scope=scope)
        # Only `initialize` has neither header: later requests of these versions have the version.
        if "mcp-session-id" in headers or "mcp-protocol-version" in headers:
            await self._app(scope, receive, send)
            return

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                MutableHeaders(scope=message)["Mcp-Session-Id"] = secrets.token_urlsafe(24)
            await send(message)

        await self._app(scope, receive, send_named)
