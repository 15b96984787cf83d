"""A service of a few lines that answers whatever a test tells it to, over real HTTP."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Answerer = Callable[[Request], Response | tuple[int, Any]]


@asynccontextmanager
async def odd_service(answer: Answerer) -> AsyncIterator[str]:
    """Serve `answer` (a response, or a status and JSON) on every path; yields the base URL."""

    async def respond(request: Request) -> Response:
        given = answer(request)
        return given if isinstance(given, Response) else JSONResponse(given[1], given[0])

    app = Starlette(routes=[Route("/{path:path}", respond, methods=["GET", "POST"])])
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listener])
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
