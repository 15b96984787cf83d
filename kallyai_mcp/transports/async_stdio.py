"""Standard input and output without threads, for pipes and sockets on POSIX systems.

The SDK's own streams use a thread for each line, write, and flush, which takes a third of the time of a fast tool call.
Here the event loop reads and writes when the system reports that a pipe or a socket is ready, so it never blocks. For
the rest, which is Windows, terminals, and files, the SDK's streams are used (`FileWriter`).
"""

import errno
import os
import socket
import stat
import sys
from collections.abc import AsyncGenerator

import anyio

_CHUNK = 64 * 1024


class LineReader:
    """Reads UTF-8 lines from a pipe or a stream socket. Invalid bytes become U+FFFD, as in the SDK's streams.

    `received` are the bytes that were read from it before.
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

    `sent` are the bytes written so far.
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
        self._tells = sys.platform == "linux" and (self._is_pipe or _is_local(descriptor))
        """Whether the system tells how much the other side has read."""
        self._is_over = False
        self._read = 0
        self.sent = 0

    async def write(self, text: str) -> None:
        """Write all of `text`.

        Raises:
            ConnectionError: The other side is closed.
        """
        await self.write_bytes(text.encode())

    async def write_bytes(self, encoded: bytes) -> None:
        """Write UTF-8, as `write` does."""
        data = memoryview(encoded)
        while data:
            while not self._poll.poll(0):
                await anyio.wait_writable(self._descriptor)
            written = os.write(self._descriptor, data[: self._chunk])
            self.sent += written
            data = data[written:]

    def read(self, *, is_followed: bool) -> int:
        """How many bytes of `sent` the other side has read, or fewer.

        Where the system does not tell, it is all of them if a message of the other side has followed now.
        """
        if not self._tells:
            self._read = self.sent if is_followed else self._read
        elif not self._is_over:
            waiting = int.from_bytes(self._ioctl(self._descriptor, self._count, bytes(4)), sys.byteorder)
            # Looked at after that: a socket that is closed forgets what was not read.
            self._is_over = not self._is_pipe and any(events & self._gone for _, events in self._poll.poll(0))
            if not self._is_over:
                self._read = max(self._read, self.sent - waiting)
            elif not self._was_reset():
                self._read = self.sent
        return self._read

    def _was_reset(self) -> bool:
        """Whether the other side of the socket was closed before everything was read. The system tells it once."""
        with socket.socket(fileno=os.dup(self._descriptor)) as connection:
            return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET


class FileWriter:
    """Writes text to a file, a terminal, or a pipe of Windows. No system tells how much of it the client has read.

    `sent` are the messages written so far.
    """

    def __init__(self, file: anyio.AsyncFile[str]) -> None:
        self._file = file
        self._read = 0
        self.sent = 0

    async def write(self, text: str) -> None:
        """Write all of `text`."""
        await self._file.write(text)
        await self._file.flush()
        self.sent += 1

    def read(self, *, is_followed: bool) -> int:
        """How many messages the client has read: all of `sent` when a message of it has followed now."""
        self._read = self.sent if is_followed else self._read
        return self._read


def _is_local(descriptor: int) -> bool:
    """Whether both ends of a socket are on this machine."""
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        return connection.family == socket.AF_UNIX
