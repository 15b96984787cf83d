"""Tells `Delivery` which answers the client over stdio has read."""

import json
import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Protocol

import anyio

from kallyai_mcp.calls.delivery import Delivery
from kallyai_mcp.server.successive_connections import Write

_FIRST_LOOK, _LONGEST_PAUSE = 0.05, 60.0
"""Seconds until it is looked whether an answer was read, and between two looks. Most clients read at once."""


class Output(Protocol):
    """Where the messages to a client are written.

    Attributes:
        sent: How much was written so far, in any unit.
    """

    sent: int

    def read(self, *, is_followed: bool) -> int:
        """How much of `sent` the client has read, or less. `is_followed`: a message of the client has come now."""


class AnswersRead:
    """The lines of a client and a writer to it. An outcome is delivered when the client has read the answer with it.

    Args:
        delivery: Is told of each answer that was read and has an outcome.
        lines: The lines of the client. Before each, it is looked what the client had read.
        write: Writes a message to the client.
        output: Where `write` writes.
    """

    def __init__(self, delivery: Delivery, lines: AsyncIterable[str], write: Write, output: Output) -> None:
        delivery.awaits_reading = True
        self._delivery = delivery
        self._lines = lines
        self._write = write
        self._output = output
        self._written: deque[tuple[int, object]] = deque()
        """Where the answers that were written and may have an outcome end, each with the id of its request."""
        self._has_news = anyio.Event()
        self._noting = anyio.Lock(fast_acquire=True)

    async def __aiter__(self) -> AsyncGenerator[str, None]:
        """The lines."""
        async for line in self._lines:
            await self.note(is_followed=True)
            yield line

    async def write(self, text: str) -> None:
        """Write a message to the client."""
        await self._write(text)
        if self._delivery.has_unread and "method" not in (message := json.loads(text)):
            self._written.append((self._output.sent, message.get("id")))
            self._has_news.set()

    async def note(self, *, is_followed: bool = False) -> None:
        """Note which answers were read. `is_followed`: a message of the client has come now."""
        async with self._noting:
            while self._written and self._written[0][0] <= self._output.read(is_followed=is_followed):
                await self._delivery.read(self._written.popleft()[1])

    async def look(self) -> None:
        """Note what a client has read that sends no further message. Runs until it is canceled."""
        pause = math.inf
        while True:
            with anyio.move_on_after(pause):
                await self._has_news.wait()
                self._has_news = anyio.Event()
                pause = _FIRST_LOOK
                continue
            await self.note()
            pause = min(2 * pause, _LONGEST_PAUSE) if self._written else math.inf
