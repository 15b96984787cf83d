"""Lets a client over stdio send `initialize` after `server/discover`.

Some clients wait only a second for the answer to `server/discover`, while the server may still start, and then send
`initialize`. The SDK refuses this on a connection whose first message was of the version 2026-07-28.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable

import anyio

Write = Callable[[str], Awaitable[None]]
"""Writes a message to a client."""


class SuccessiveConnections:
    """The lines of one client, split into successive connections for the SDK, and a writer to the client.

    If `initialize` follows only `server/discover`, the lines end before it, after the answers were written. Reading the
    lines again begins with `initialize`.

    Args:
        lines: The lines of the client.
        write: Writes a message to the client.

    Attributes:
        are_over: Whether the client has sent its last line.
    """

    def __init__(self, lines: AsyncIterable[str], write: Write) -> None:
        self._lines = aiter(lines)
        self._write = write
        self._next: str | None = None
        self._open = 0
        self._answered = anyio.Event()
        self.are_over = False

    async def __aiter__(self) -> AsyncGenerator[str, None]:
        may_begin_anew = self._next is None
        if self._next is not None:
            yield self._next
            self._next = None
        discovered = False
        async for line in self._lines:
            method = _method_of(line) if may_begin_anew else None
            if method == "initialize" and discovered:
                while self._open:
                    self._answered = anyio.Event()
                    await self._answered.wait()
                self._next = line
                return
            may_begin_anew = may_begin_anew and method == "server/discover"
            discovered = may_begin_anew
            self._open += may_begin_anew
            yield line
        self.are_over = True

    async def write(self, text: str) -> None:
        """Write a message to the client."""
        await self._write(text)
        if self._open and "method" not in json.loads(text):
            self._open -= 1
            self._answered.set()

    async def flush(self) -> None:
        """Do nothing: `write` has no buffer."""


def _method_of(line: str) -> object:
    """The method of a request; None for anything else."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message.get("method") if isinstance(message, dict) and "id" in message else None
