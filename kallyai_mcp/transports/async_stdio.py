"""Standard input and output without a thread: what a desktop program connects to its server, a pipe or a socket.

The SDK's own streams hand each line, each write and each flush to a thread and wait for it, which is a third of what a
call that is answered at once takes. POSIX tells when a pipe is ready, so here the event loop reads and writes by itself
and never blocks. Anything else (Windows, a terminal, a file) is left to the SDK.
"""

import os
import stat
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

import anyio

_CHUNK = 64 * 1024


class Lines:
    """The lines that come from a descriptor, as UTF-8; what isn't is replaced, as the SDK does it.

    Args:
        descriptor: Of a pipe or a stream socket.
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


class Writer:
    """Writes text to a descriptor as UTF-8, as fast as the other side reads.

    Args:
        descriptor: Of a pipe or a stream socket.
    """

    def __init__(self, descriptor: int) -> None:
        import select

        self._descriptor = descriptor
        # Once it is reported as ready for writing, that much can be written without blocking (POSIX, `select`).
        self._at_once = select.PIPE_BUF
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    async def write(self, text: str) -> None:
        """Write all of `text`.

        Raises:
            BrokenPipeError: Nobody reads any more.
        """
        data = memoryview(text.encode())
        while data:
            while not self._poll.poll(0):
                await anyio.wait_writable(self._descriptor)
            data = data[os.write(self._descriptor, data[: self._at_once]) :]

    async def flush(self) -> None:
        """Nothing is held back."""


@contextmanager
def claimed() -> Iterator[tuple[Lines, Writer] | None]:
    """Take standard input and output for the protocol: until the end of the block nothing else reaches them.

    Who reads descriptor 0 meanwhile finds the end of the file, and who writes to 1 writes to stderr.

    Yields:
        The two, or None where the SDK's own streams have to do; then nothing was taken.
    """
    if os.name != "posix" or not all(_tells_when_ready(descriptor) for descriptor in (0, 1)):
        yield None
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        with _diverted(0, nothing) as incoming, _diverted(1, 2 if _is_open(2) else nothing) as outgoing:
            yield Lines(incoming), Writer(outgoing)
    finally:
        os.close(nothing)


def _tells_when_ready(descriptor: int) -> bool:
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
def _diverted(descriptor: int, elsewhere: int) -> Iterator[int]:
    """Point `descriptor` elsewhere; yields another one for what it was, which no child process inherits."""
    import fcntl

    # Above the three standard ones, any of which a client may have closed.
    own = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.dup2(elsewhere, descriptor)
    try:
        yield own
    finally:
        os.dup2(own, descriptor)
        os.close(own)
