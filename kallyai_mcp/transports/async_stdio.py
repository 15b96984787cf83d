"""Standard input and output without threads, where a client has connected pipes or sockets to them.

The SDK's own streams use a thread for each line, write, and flush, which takes a third of the time of a fast tool call.
POSIX reports when a pipe or a socket is ready, so here the event loop itself reads and writes, and never blocks. The
SDK's streams serve the rest: Windows, terminals, and files.
"""

import os
import stat
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

import anyio

_CHUNK = 64 * 1024


class LineReader:
    """Reads UTF-8 lines from a descriptor; invalid bytes become U+FFFD, as in the SDK's streams.

    Args:
        descriptor: A pipe or a stream socket.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def __aiter__(self) -> AsyncGenerator[str, None]:
        unfinished = bytearray()
        while True:
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
        if unfinished:
            yield unfinished.decode("utf-8", "replace")


class TextWriter:
    """Writes UTF-8 text to a descriptor, and waits while the other side does not read.

    Args:
        descriptor: A pipe or a stream socket.
    """

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
        data = memoryview(text.encode())
        while data:
            while not self._poll.poll(0):
                await anyio.wait_writable(self._descriptor)
            data = data[os.write(self._descriptor, data[: self._chunk]) :]

    async def flush(self) -> None:
        """Do nothing: `write` has no buffer."""


@contextmanager
def take_stdio() -> Iterator[tuple[LineReader, TextWriter] | None]:
    """Take standard input and output for the protocol, until the end of the block.

    Meanwhile descriptor 0 is at the end of its file, and descriptor 1 leads to stderr.

    Yields:
        A reader and a writer; None if the SDK's streams must be used, and then nothing was changed.
    """
    if os.name != "posix" or not all(_is_pollable(descriptor) for descriptor in (0, 1)):
        yield None
        return
    null = os.open(os.devnull, os.O_RDWR)
    try:
        with _redirected(0, null) as stdin, _redirected(1, 2 if _is_open(2) else null) as stdout:
            yield LineReader(stdin), TextWriter(stdout)
    finally:
        os.close(null)


def _is_pollable(descriptor: int) -> bool:
    if not _is_open(descriptor):
        return False
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@contextmanager
def _redirected(descriptor: int, target: int) -> Iterator[int]:
    """Redirect `descriptor` to `target`; yields a new descriptor for its old file, which no child process inherits."""
    import fcntl

    # 3 or higher: a client may have closed any of the three standard descriptors.
    own = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.dup2(target, descriptor)
    try:
        yield own
    finally:
        os.dup2(own, descriptor)
        os.close(own)
