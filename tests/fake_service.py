"""An HTTP service whose responses a test chooses."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Reply = Response | tuple[int, Any]
Handler = Callable[[Request], Reply | Awaitable[Reply]]


@asynccontextmanager
async def fake_service(handler: Handler) -> AsyncIterator[str]:
    """Serve the responses of `handler` on every path; yields the base URL.

    Args:
        handler: Returns a response, or a status and a JSON value.
    """

    async def respond(request: Request) -> Response:
        reply = handler(request)
        answer = await reply if isinstance(reply, Awaitable) else reply
        return answer if isinstance(answer, Response) else JSONResponse(answer[1], answer[0])

    app = Starlette(routes=[Route("/{path:path}", respond, methods=["GET", "POST"])])
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or each response waits for an acknowledgement
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listener])
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True


@asynccontextmanager
async def out_of_reach(closes: int) -> AsyncIterator[tuple[str, anyio.Event]]:
    """A server that closes so many connections, and then answers no handshake; yields its URL, and when that is."""
    is_waiting, count = anyio.Event(), 0

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        if count > closes:
            is_waiting.set()
            await reader.read()
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", is_waiting
