"""`kallyai-mcp serve`."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from kallyai_mcp.cli.connection import Connection, open_app_context
from kallyai_mcp.logs import configure
from kallyai_mcp.server.build import build_server
from kallyai_mcp.settings import Settings
from kallyai_mcp.telemetry import configure_from_environment
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.transports.stdio import leave_within, serve_stdio

if TYPE_CHECKING:
    from kallyai_mcp.sandbox.app import SandboxApp

_LAST_SECONDS = 1.5
"""How long closing may take once the client has left; within it a renewal of the sign-in is waited for."""


def serve_over_stdio(settings: Settings, *, sandbox: bool, speed: float) -> None:
    """Serve one client on stdin and stdout until it leaves.

    Args:
        settings: As the environment says.
        sandbox: Serve on the embedded sandbox.
        speed: How many times faster than real the embedded sandbox's calls are.
    """

    def embedded() -> "SandboxApp":
        from kallyai_mcp.sandbox.app import create_app

        return create_app(data=settings.home / "sandbox.db", speed=speed)

    @asynccontextmanager
    async def app_context() -> AsyncIterator[AppContext]:
        async with open_app_context(connection) as opened:
            yield opened
            leave_within(_LAST_SECONDS)

    configure(settings.log_level, settings.log_format)
    configure_from_environment()
    connection = Connection(settings, embedded=embedded if sandbox else None)
    server = build_server(app_context, log_level=settings.log_level, keep_days=settings.keep_days)
    gc.freeze()
    gc.enable()  # `main` has disabled it while all this was imported
    anyio.run(serve_stdio, server)
