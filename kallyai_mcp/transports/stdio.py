"""Over this process's standard input and output."""

import os
import signal
import sys
import threading
from types import FrameType

from mcp.server.mcpserver import MCPServer

from kallyai_mcp.server.sdk_internals import run_on_lines
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.transports.async_stdio import claimed


async def serve_stdio(server: MCPServer[AppContext]) -> None:
    """Serve one client on stdin and stdout until it closes one of them, or until SIGINT or SIGTERM.

    stdout carries nothing but the protocol: while serving, everything else that is written there goes to stderr.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    with claimed() as streams:
        if streams is None:
            await server.run_stdio_async()
            return
        try:
            await run_on_lines(server, *streams)
        except* ConnectionError:
            pass  # nobody reads any more: the client has left, if by an odd way


def leave_within(seconds: float) -> None:
    """End the process after `seconds` at the latest, even if something still refuses to be cancelled.

    A client that has gone waits two seconds for its server, as the MCP specification has it, and then kills it.
    """
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _leave(number: int, _: FrameType | None) -> None:
    """End the process at once.

    Where a thread blocks in reading stdin it can't be woken, and leaving by way of the event loop would wait for the
    client.
    Nothing is lost by it: whatever must outlive the process is on disk before it is acted on.
    """
    sys.stderr.flush()
    os._exit(0 if number == signal.SIGTERM else 128 + number)
