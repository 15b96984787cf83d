"""Standard input and output without threads, where a client has connected pipes or sockets to them.

The SDK's own streams use a thread for each line, write, and flush, which takes a third of the time of a fast tool call.
POSIX reports when a pipe or a socket is ready, so here the event loop itself reads and writes, and never blocks. The
SDK's streams serve the rest: Windows, terminals, and files.
"""

import os
from collections.abc import AsyncGenerator

import anyio

_CHUNK = 64 * 1024


class LineReader:
    """Reads UTF-8 lines from a pipe or a stream socket, after what was `received` from it before.

    Invalid bytes become U+FFFD, as in the SDK's streams.
    """

    def __init__(self, descriptor: int, received: bytes = b"") -> None:
        self._descriptor = descriptor
        self._received = received

    async def __aiter__(self) -> AsyncGenerator[str, None]:
        unfinished = bytearray()
        data = self._received
        while True:
            if not data:
                await anyio.wait_readable(self._descriptor)
                data = os.read(self._descriptor, _CHUNK)
            if not data:
                break
            head, newline, rest = data.partition(b"\n")
            unfinished += head
            while newline:
                yield unfinished.decode("utf-8", "replace")
                head, newline, rest = rest.partition(b"\n")
                unfinished = bytearray(head)
            data = b""
        if unfinished:
            yield unfinished.decode("utf-8", "replace")


class TextWriter:
    """Writes UTF-8 text to a pipe or a stream socket, and waits while the other side does not read."""

    def __init__(self, descriptor: int) -> None:
        import select

        self._descriptor = descriptor
        # So many bytes never block on a descriptor that poll reports as writable (POSIX, PIPE_BUF).
        self._chunk = select.PIPE_BUF
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    async def write(self, text: str) -> None:
        """Write all of `text`.

        Raises:
            BrokenPipeError: The other side is closed.
        """
        await self.write_bytes(text.encode())

    async def write_bytes(self, encoded: bytes) -> None:
        """Write UTF-8, as `write` does."""
        data = memoryview(encoded)
        while data:
            while not self._poll.poll(0):
                await anyio.wait_writable(self._descriptor)
            data = data[os.write(self._descriptor, data[: self._chunk]) :]
