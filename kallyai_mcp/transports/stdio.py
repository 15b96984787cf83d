"""Over this process's standard input and output."""

import os
import signal
import sys
import threading
from types import FrameType

from mcp.server.mcpserver import MCPServer

from kallyai_mcp.tools.desk import Desk


async def serve_stdio(server: MCPServer[Desk]) -> None:
    """Serve one client on stdin and stdout until it closes stdin, or until SIGINT or SIGTERM.

    stdout carries nothing but the protocol: while serving, the SDK points everything else at stderr.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    await server.run_stdio_async()


def leave_within(seconds: float) -> None:
    """End the process after `seconds` at the latest, even if something still refuses to be cancelled.

    A client that has gone waits two seconds for its server, as the MCP specification has it, and then kills it.
    """
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _leave(number: int, _: FrameType | None) -> None:
    """End the process at once.

    A thread that blocks in reading stdin can't be woken, so leaving by way of the event loop would wait for the client.
    Nothing is lost by it: whatever must outlive the process is on disk before it is acted on.
    """
    sys.stderr.flush()
    os._exit(0 if number == signal.SIGTERM else 128 + number)
