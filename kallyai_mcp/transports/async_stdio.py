"""Standard input and output without threads, for pipes and sockets on POSIX systems.

The SDK's own streams use a thread for each line, write, and flush, which takes a third of the time of a fast tool call.
Here the event loop reads and writes when the system reports that a pipe or a socket is ready, so it never blocks. For
the rest, which is Windows, terminals, and files, the SDK's streams are used.
"""

import errno
import os
import socket
import stat
import sys
from collections import deque
from collections.abc import AsyncGenerator

import anyio

_CHUNK = 64 * 1024


class LineReader:
    """Reads UTF-8 lines from a pipe or a stream socket. Invalid bytes become U+FFFD, as in the SDK's streams.

    Args:
        descriptor: The file descriptor.
        received: The bytes that were read from it before.
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
    """Writes UTF-8 text to a pipe or a stream socket, and waits while the other side does not read.

    Args:
        descriptor: The file descriptor.
    """

    def __init__(self, descriptor: int) -> None:
        import fcntl
        import select
        import termios

        self._descriptor = descriptor
        # A write of this many bytes never blocks when poll reports the descriptor as writable (POSIX, PIPE_BUF).
        self._chunk = select.PIPE_BUF
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._gone = select.POLLHUP | select.POLLERR
        self._ioctl = fcntl.ioctl
        self._is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        self._count = termios.FIONREAD if self._is_pipe else termios.TIOCOUTQ
        self._sent = 0
        """Bytes written so far."""
        self._written: deque[tuple[int, str]] = deque()
        """The messages that the other side may not have read, each with the value of `_sent` at its end."""
        self._is_broken = False

    async def write(self, text: str) -> None:
        """Write all of `text`.

        Raises:
            ConnectionError: The other side is closed.
        """
        read = self._sent - self._waiting()
        if not self._is_closed():
            self._remove_read(read)
        data = text.encode()
        self._written.append((self._sent + len(data), text))
        try:
            await self.write_bytes(data)
        except ConnectionError as error:
            self._is_broken = True
            # A pipe still tells what was not read. So does a socket, unless its error is ConnectionResetError.
            if not isinstance(error, ConnectionResetError):
                self._remove_read(self._sent - self._waiting())
            raise

    async def write_bytes(self, encoded: bytes) -> None:
        """Write UTF-8, as `write` does."""
        data = memoryview(encoded)
        while data:
            while not self._poll.poll(0):
                await anyio.wait_writable(self._descriptor)
            written = os.write(self._descriptor, data[: self._chunk])
            self._sent += written
            data = data[written:]

    def unread(self) -> list[str]:
        """The messages that the other side had not read when it was closed; empty while it is open.

        The system may not know all bytes that were read, so a message in this list may have been read.
        """
        if not self._is_broken:
            if not self._is_closed():
                return []
            if self._is_pipe or not self._was_reset():
                self._remove_read(self._sent - self._waiting())
        return [text for _, text in self._written]

    def _remove_read(self, read: int) -> None:
        """Remove the messages that end within the first `read` bytes."""
        while self._written and self._written[0][0] <= read:
            self._written.popleft()

    def _waiting(self) -> int:
        """How many bytes the other side has not read; 0 if the system can't tell."""
        try:
            return int.from_bytes(self._ioctl(self._descriptor, self._count, bytes(4)), sys.byteorder)
        except OSError:
            return 0

    def _is_closed(self) -> bool:
        return any(events & self._gone for _, events in self._poll.poll(0))

    def _was_reset(self) -> bool:
        """Whether it is a socket whose other side was closed before everything was read."""
        try:
            with socket.socket(fileno=os.dup(self._descriptor)) as connection:
                return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET
        except OSError:
            return False  # a pipe
