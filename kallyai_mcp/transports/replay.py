"""Lets the server read the messages that `FirstAnswers` has answered, and drops the server's answers to them."""

import json
from collections.abc import AsyncGenerator

import anyio

from kallyai_mcp.transports.async_stdio import LineReader, TextWriter
from kallyai_mcp.transports.first_answers import FirstAnswers


class Replay:
    """The lines of the client and a writer to it, for `run_on_lines`.

    The answered lines come first. The next ones come only after the server has answered these, so that the answers stay
    in order.

    Args:
        first: The first answers, which have stopped.

    Attributes:
        output: Where the messages to the client are written.
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
