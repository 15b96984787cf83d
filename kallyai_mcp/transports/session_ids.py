"""The ids of sessions that `/mcp` gives to clients of protocol versions up to 2025-11-25. The server keeps no sessions.

The id only names the client, so that a notification which cancels a request finds it (`server/cancellations.py`), and a
load balancer can send both to one worker. Any worker takes any id, and an id opens nothing.
"""

import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class SessionIds:
    """Names clients in the response to their first request, and answers 405 to GET: that stream would stay empty."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["method"] == "GET":
            text = "There is no stream to open here; results come in the response to their request."
            await PlainTextResponse(text, 405, headers={"Allow": "POST"})(scope, receive, send)
            return
        headers = Headers(scope=scope)
        # Only `initialize` has neither: the later requests of these versions have the version, too.
        if "mcp-session-id" in headers or "mcp-protocol-version" in headers:
            await self._app(scope, receive, send)
            return

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                MutableHeaders(scope=message)["Mcp-Session-Id"] = secrets.token_urlsafe(24)
            await send(message)

        await self._app(scope, receive, send_named)
