"""The stdio transport: one client on the process's standard input and output."""

import json
import os
import threading
from collections.abc import AsyncGenerator

import anyio
from mcp.server.mcpserver import MCPServer

from kallyai_mcp.server.sdk_internals import run_on_lines, sdk_streams
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.transports.async_stdio import FileWriter, LineReader, TextWriter
from kallyai_mcp.transports.first_answers import FirstAnswers
from kallyai_mcp.transports.standard_streams import exit_on_signals, take_stdio


async def serve_stdio(server: MCPServer[AppContext], first_answers: FirstAnswers | None = None) -> None:
    """Serve one client on stdin and stdout until it closes one of them, or until SIGINT or SIGTERM.

    Only the protocol is written to stdout. Other output of the process goes to stderr. `first_answers` has answered the
    client until now, if there is one.
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


class Replay:
    """The lines of a client that `first` has answered until now, and a writer to it.

    The server reads the answered lines first, and its answers to them are dropped. The next lines come only after
    these answers, so that the answers stay in order. `output` is where the other answers are written.
    """

    def __init__(self, first: FirstAnswers) -> None:
        self._first = first
        self._reader = LineReader(first.stdin, bytes(first.received))
        self.output = TextWriter(first.stdout)
        self._open_requests = first.requests
        self._is_done = anyio.Event()

    async def __aiter__(self) -> AsyncGenerator[str, None]:
        """The client's lines."""
        for answered in self._first.answered:
            yield answered.decode()
        if self._open_requests:
            await self._is_done.wait()
        async for line in self._reader:
            yield line

    async def write(self, text: str) -> None:
        """Write a message to the client, unless it is the answer to a message that was answered before.

        Raises:
            ConnectionError: The other side is closed.
        """
        if self._open_requests and "method" not in json.loads(text):
            self._open_requests -= 1
            if not self._open_requests:
                self._is_done.set()  # set before the write, so that the server reads on even if the client does not
                await self.output.write_bytes(bytes(self._first.unsent))
            return
        await self.output.write(text)
