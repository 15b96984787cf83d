"""ASGI middleware for requests that are interrupted: by a slow client, or by the stop of the server."""

import asyncio

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_TIMEOUT = 10.0
"""The most seconds for the body of a request, which has at most 64 KiB."""


class _WatchedSend:
    """An ASGI `send` that notes whether the response has started."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        self.started = True
        await self._send(message)


class BodyTimeout:
    """ASGI middleware that answers 408 if the body of a request takes longer than `BODY_TIMEOUT`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        complete = False
        deadline: float | None = None
        watched = _WatchedSend(send)

        async def receive_in_time() -> Message:
            nonlocal complete, deadline
            if complete:
                return await receive()
            deadline = deadline or asyncio.get_running_loop().time() + BODY_TIMEOUT
            async with asyncio.timeout_at(deadline):  # anyio's costs 2 % of a request
                message = await receive()
            complete = not message.get("more_body", False)
            return message

        try:
            await self._app(scope, receive_in_time, watched)
        except TimeoutError:
            if complete or watched.started:
                raise
            response = PlainTextResponse("The request did not arrive in time", 408, headers={"Connection": "close"})
            await response(scope, receive, send)


class GracefulShutdown:
    """ASGI middleware for the stop of the server: it ends a response that has started, or answers 503.

    uvicorn cancels the task of a request only when the server stops, and would log that as an error of the app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        watched = _WatchedSend(send)
        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            if watched.started:
                await send({"type": "http.response.body"})
            else:
                await PlainTextResponse("The server stops", 503)(scope, receive, send)
