"""The stdio transport: one client on the process's standard input and output."""

import os
import threading

from mcp.server.mcpserver import MCPServer

from kallyai_mcp.server.sdk_internals import run_on_lines, sdk_streams
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.transports.async_stdio import FileWriter, LineReader, TextWriter
from kallyai_mcp.transports.first_answers import FirstAnswers
from kallyai_mcp.transports.replay import Replay
from kallyai_mcp.transports.standard_streams import exit_on_signals, take_stdio


async def serve_stdio(server: MCPServer[AppContext], first_answers: FirstAnswers | None = None) -> None:
    """Serve one client on stdin and stdout until it closes one of them, or until SIGINT or SIGTERM.

    Only the protocol is written to stdout. Other output of the process goes to stderr.

    Args:
        server: The MCP server.
        first_answers: Has answered the client until now, if there is one.
    """
    exit_on_signals()
    try:
        if first_answers is not None:
            first_answers.stop()
            replay = Replay(first_answers)
            await run_on_lines(server, replay, replay.write, replay.output)
            return
        with take_stdio() as streams:
            if streams is not None:
                writer = TextWriter(streams[1])
                await run_on_lines(server, LineReader(streams[0]), writer.write, writer)
                return
        with sdk_streams() as (stdin, stdout):
            written = FileWriter(stdout)
            await run_on_lines(server, stdin, written.write, written)
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
