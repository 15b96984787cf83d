"""Tells the server what `FirstAnswers` has answered for it, as if it had answered that itself."""

import json
from collections.abc import AsyncGenerator

import anyio

from kallyai_mcp.transports.async_stdio import LineReader, TextWriter
from kallyai_mcp.transports.first_answers import FirstAnswers


class Replay:
    """The lines that the server reads, and what it writes with, as `run_on_lines` takes them.

    The answered lines come first. The server's answers to them are dropped, and only then it gets the lines after them,
    so that nothing overtakes anything.

    Attributes:
        unread: `TextWriter.unread`.
    """

    def __init__(self, first: FirstAnswers) -> None:
        self._first = first
        self._reader = LineReader(first.stdin, bytes(first.received))
        self._writer = TextWriter(first.stdout)
        self.unread = self._writer.unread
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
        """Write a message to the client, or drop it.

        Raises:
            ConnectionError: The other side is closed.
        """
        if self._open_requests and "method" not in json.loads(text):
            self._open_requests -= 1
            if not self._open_requests:
                self._is_done.set()  # before the client takes the rest: the server reads on even if it never does
                await self._writer.write_bytes(bytes(self._first.unsent))
            return
        await self._writer.write(text)
