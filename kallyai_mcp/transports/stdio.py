"""The stdio transport: one client on the process's standard input and output."""

import os
import signal
import sys
import threading
from types import FrameType

from mcp.server.mcpserver import MCPServer

from kallyai_mcp.server.sdk_internals import run_on_lines
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.transports.async_stdio import take_stdio


async def serve_stdio(server: MCPServer[AppContext]) -> None:
    """Serve one client on stdin and stdout until it closes one of them, or until SIGINT or SIGTERM.

    Only the protocol is written to stdout: until the end, whatever else the process prints there goes to stderr.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit_now)
    with take_stdio() as streams:
        if streams is None:
            await server.run_stdio_async()
            return
        try:
            await run_on_lines(server, *streams)
        except* ConnectionError:
            pass  # the client has closed its end of stdout without closing stdin: it has left


def exit_within(seconds: float) -> None:
    """End the process after `seconds` at the latest, even if a task does not end when it is canceled.

    A client that has closed stdin waits about two seconds for its server and then kills it (MCP specification,
    "Lifecycle", "Shutdown").
    """
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _exit_now(number: int, _: FrameType | None) -> None:
    """End the process at once, as the handler of a signal.

    A thread that reads stdin can't be interrupted, so the event loop would wait until the client closes it. Nothing is
    lost: each step of a call is in the ledger before it is taken.
    """
    sys.stderr.flush()
    if number == signal.SIGINT and os.isatty(2):
        os.write(2, b"\nStopped.\n")
    os._exit(0 if number == signal.SIGTERM else 128 + number)
