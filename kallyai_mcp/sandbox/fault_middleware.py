"""Injects faults: the outermost ASGI middleware, so that no other layer changes what a fault
does.
"""

import asyncio
import math
import os
import socket
import sqlite3
import struct
from contextlib import suppress
from datetime import timedelta

import anyio
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kallyai_mcp.sandbox import faults
from kallyai_mcp.sandbox.errors import ApiError, error_body
from kallyai_mcp.sandbox.faults import KINDS_AFTER_PLACEMENT, Fault
from kallyai_mcp.sandbox.state import Sandbox

CONNECTION = "sandbox.connection"
"""The key in `scope["state"]` for the server's `asyncio.Transport`.

Without it, a cut connection is an exception.
"""

_PLACED = "sandbox.placed"
_LOST = "sandbox.lost"
_REASON = "A fault that was set with /_sandbox/faults"
_PAGE = "<!doctype html>\n<title>502 Bad Gateway</title>\n<h1>502 Bad Gateway</h1>\n"
# SO_LINGER with a time-out of 0 makes close() send a TCP reset. On Windows the two fields are
# shorts.
_LINGER_ZERO = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class FaultMiddleware:
    """ASGI middleware that makes requests fail as `faults` says.

    A fault that happens after a call is placed, or in the middle of a response, does not apply to a
    request that the sandbox refuses: the client gets the refusal, and the fault stays for a later
    request.
    """

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app = app
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        taken = None
        if scope["type"] == "http":
            # A store that fails makes the application fail, which answers in the reference's
            # format.
            with suppress(sqlite3.Error), self._sandbox.store.transaction() as db:
                taken = faults.take(db, scope["method"], scope["path"])
        if taken is None:
            if await self._until(_LOST, scope, receive, send):
                await _cut(scope, receive)
            return
        fault_id, fault = taken
        if fault.kind == "cut_mid_body":
            await self._send_half(fault_id, scope, receive, send)
        elif fault.kind in KINDS_AFTER_PLACEMENT and not await self._until(
            _PLACED, scope, receive, send
        ):
            self._settle(fault_id, happened=False)
        else:
            self._settle(fault_id, happened=True)
            await self._fail(fault, scope, receive, send)

    def _settle(self, fault_id: int, *, happened: bool) -> None:
        with self._sandbox.store.transaction() as db:
            faults.settle(db, fault_id, happened=happened)

    async def _until(self, event: str, scope: Scope, receive: Receive, send: Send) -> bool:
        """Run the request until its call is placed, or lost by its line.

        False: the response has been sent.
        """
        with anyio.CancelScope() as until:
            await self._app({**scope, event: until.cancel}, receive, send)
        return until.cancelled_caught

    async def _fail(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind == "cut_before_read":
            await _cut(scope, receive)
            return
        if fault.kind not in KINDS_AFTER_PLACEMENT:
            while (await receive()).get("more_body"):
                pass
        response = _response_of(fault)
        if response is not None:
            await response(scope, receive, send)
            return
        if fault.kind in ("stall", "stall_after"):
            await self._stall(fault.seconds)
        await _cut(scope, receive)

    async def _stall(self, seconds: float) -> None:
        """Wait so long by the sandbox's clock, or until the sandbox shuts down."""
        until = self._sandbox.clock.now() + timedelta(seconds=seconds)
        with suppress(ApiError):
            while self._sandbox.clock.now() < until:
                await self._sandbox.wait_until(until)

    async def _send_half(self, fault_id: int, scope: Scope, receive: Receive, send: Send) -> None:
        response: list[Message] = []

        async def collect(message: Message) -> None:
            response.append(message)

        await self._app(scope, receive, collect)
        head, *parts = response
        if head["status"] >= 400:
            self._settle(fault_id, happened=False)
            for message in response:
                await send(message)
            return
        self._settle(fault_id, happened=True)
        body = b"".join(part["body"] for part in parts)
        if body:  # without a body, the head alone would be a complete response
            await send(head)
            await send(
                {"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True}
            )
        await _cut(scope, receive, reset=not body)


def _response_of(fault: Fault) -> Response | None:
    """What a fault answers with; None if it cuts the connection."""
    match fault.kind:
        case "unavailable_before" | "unavailable_after":
            return _refusal(503, "service_unavailable", "Service unavailable", fault.seconds)
        case "rate_limited":
            return _refusal(429, "rate_limited", "Too many requests", fault.seconds)
        case "html":
            return HTMLResponse(_PAGE, 502)
        case "error_after":
            return PlainTextResponse("Internal Server Error", 500)
        case _:
            return None


def _refusal(status: int, code: str, message: str, seconds: float) -> Response:
    headers = {"Retry-After": str(math.ceil(seconds))}
    return JSONResponse(error_body(ApiError(status, code, message, _REASON)), status, headers)


async def _cut(scope: Scope, receive: Receive, *, reset: bool = True) -> None:
    """End the connection with a TCP reset, and return when it has ended.

    Without `reset`, it is only closed, so that the client gets what was sent before; after a reset,
    some systems discard received data that the program has not read. For a request of this process,
    it raises.
    """
    connection: asyncio.Transport | None = scope.get("state", {}).get(CONNECTION)
    if connection is None:
        raise ConnectionResetError(f"{_REASON} cut the connection")
    if not reset:
        connection.close()
    elif not connection.is_closing():  # the client may have closed it already
        connection.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO
        )
        connection.abort()
    # uvicorn would send a 500 if the request ended before its connection.
    while (await receive())["type"] != "http.disconnect":
        pass


async def notify_placed(scope: Scope, *, loses_answer: bool) -> None:
    """Tell the middleware that a call is placed and committed.

    Never returns if the client gets no answer. `loses_answer`: the line's scenario says that the
    answer to this request is lost.
    """
    end = scope.get(_PLACED)
    if end is None and loses_answer:
        end = scope.get(_LOST)
    if end is not None:
        end()
        await anyio.sleep_forever()
