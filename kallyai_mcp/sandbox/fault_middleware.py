"""Acts the armed faults out: an ASGI layer around the whole sandbox, so that nothing within can soften a fault."""

import asyncio
import math
import os
import socket
import struct
from contextlib import suppress
from datetime import timedelta

import anyio
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kallyai_mcp.sandbox.errors import ApiError, error_body
from kallyai_mcp.sandbox.faults import KINDS_AFTER_PLACEMENT, Armed, Fault
from kallyai_mcp.sandbox.state import Sandbox

CONNECTION = "sandbox.connection"
"""The key in `scope["state"]` under which a server puts its `asyncio.Transport`; without one, a cut is an exception."""

_PLACED = "sandbox.placed"
_REASON = "A fault that was armed at /_sandbox/faults"
_PAGE = "<!doctype html>\n<title>502 Bad Gateway</title>\n<h1>502 Bad Gateway</h1>\n"
# SO_LINGER, on and for no time: closing the socket sends a reset. The fields are short on Windows alone.
_LINGER_NOT = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class FaultMiddleware:
    """ASGI middleware that makes requests fail as `sandbox.faults` says, and leaves all others alone.

    A request that the sandbox refuses gives a fault that acts later no occasion: it is answered as ever, and the fault
    stays armed.

    Args:
        app: The sandbox, complete with its own error handling.
        sandbox: Whose faults, and whose clock.

    Raises (from a request, where the scope holds no `CONNECTION`):
        ConnectionResetError: The connection is cut.
    """

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app = app
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        armed = self._sandbox.faults.claim(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if armed is None:
            await self._app(scope, receive, send)
        elif armed.fault.kind == "cut_mid_body":
            await self._answer_by_half(armed, scope, receive, send)
        elif armed.fault.kind in KINDS_AFTER_PLACEMENT and not await self._place(scope, receive, send):
            armed.give_back()
        else:
            armed.fire()
            await self._fail(armed.fault, scope, receive, send)

    async def _place(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Let the request go on until its call is placed; False: there was none, and the answer has been sent."""
        with anyio.CancelScope() as until_placed:
            await self._app({**scope, _PLACED: until_placed.cancel}, receive, send)
        return until_placed.cancelled_caught

    async def _fail(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind == "cut_before_read":
            await _cut(scope, receive)
            return
        if fault.kind not in KINDS_AFTER_PLACEMENT:
            while (await receive()).get("more_body"):
                pass
        if fault.kind in ("unavailable_before", "unavailable_after"):
            await _refusal(503, "service_unavailable", "Service unavailable", fault.seconds)(scope, receive, send)
        elif fault.kind == "rate_limited":
            await _refusal(429, "rate_limited", "Too many requests", fault.seconds)(scope, receive, send)
        elif fault.kind == "html":
            await HTMLResponse(_PAGE, 502)(scope, receive, send)
        elif fault.kind == "error_after":
            await PlainTextResponse("Internal Server Error", 500)(scope, receive, send)
        else:
            if fault.kind in ("stall", "stall_after"):
                await self._silence(fault.seconds)
            await _cut(scope, receive)

    async def _silence(self, seconds: float) -> None:
        """Wait; less long when the sandbox is being stopped."""
        with suppress(ApiError):
            await self._sandbox.until(self._sandbox.clock.now() + timedelta(seconds=seconds))

    async def _answer_by_half(self, armed: Armed, scope: Scope, receive: Receive, send: Send) -> None:
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        await self._app(scope, receive, keep)
        head, *parts = answer
        if head["status"] >= 400:
            armed.give_back()
            for message in answer:
                await send(message)
            return
        armed.fire()
        body = b"".join(part["body"] for part in parts)
        if body:  # an answer without one would be whole after its head
            await send(head)
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await _cut(scope, receive, gently=bool(body))


def _refusal(status: int, code: str, message: str, seconds: float) -> Response:
    headers = {"Retry-After": str(math.ceil(seconds))}
    return JSONResponse(error_body(ApiError(status, code, message, _REASON)), status, headers)


async def _cut(scope: Scope, receive: Receive, *, gently: bool = False) -> None:
    """End the connection by a reset, and return once it has ended.

    Args:
        scope: The request's.
        receive: The request's.
        gently: What was sent must arrive first. A reset makes some systems throw away what has arrived and was not
            read yet, so the connection is only closed, which in mid-body is a break all the same.

    Raises:
        ConnectionResetError: There is no connection: the request came from within this process.
    """
    connection: asyncio.Transport | None = scope.get("state", {}).get(CONNECTION)
    if connection is None:
        raise ConnectionResetError(f"{_REASON} cut the connection")
    if gently:
        connection.close()
    elif not connection.is_closing():  # a client may have lost its patience first
        connection.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        connection.abort()
    # The server would send an answer of its own if the request was over before its connection.
    while (await receive())["type"] != "http.disconnect":
        pass


async def once_placed(scope: Scope) -> None:
    """To be awaited by who has placed and committed a call: does not return if a fault takes the request from here."""
    if _PLACED in scope:
        scope[_PLACED]()
        await anyio.sleep_forever()
