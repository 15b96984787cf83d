"""The process's standard input and output, its end by a signal, and its open files.

This module imports only the standard library.
"""

import os
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_MOST_FILES = 10_240 if sys.platform == "darwin" else 65_536
"""The most open files that `allow_open_files` asks for. macOS allows no more, although it reports no limit."""


@contextmanager
def take_stdio() -> Iterator[tuple[int, int] | None]:
    """A context that takes standard input and output for the protocol.

    In the context, reads from descriptor 0 get the end of the file, and writes to descriptor 1 go to stderr. So other
    output of the process does not reach the client.

    Yields:
        The descriptors to read from and to write to; None if they are not pipes or sockets of a POSIX system. Then
        nothing is changed.
    """
    if os.name != "posix" or not all(_is_pollable(descriptor) for descriptor in (0, 1)):
        yield None
        return
    null = os.open(os.devnull, os.O_RDWR)
    try:
        with _redirected(0, null) as stdin, _redirected(1, 2 if _is_open(2) else null) as stdout:
            yield stdin, stdout
    finally:
        os.close(null)


def exit_on_signals() -> None:
    """Let SIGINT and SIGTERM end the process at once.

    A thread that reads stdin can't be interrupted, so the event loop would wait until the client closes stdin. No call
    is lost, because each step of a call is written into the ledger before it is done.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit_now)


def allow_open_files() -> None:
    """Raise this process's limit of open files as far as the system allows. On many systems it is 1,024 or 256."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if most == resource.RLIM_INFINITY else min(most, _MOST_FILES)
    if wanted > open_files():
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def open_files() -> int:
    """The most files and connections that this process may have open."""
    try:
        import resource
    except ImportError:
        return _MOST_FILES
    now, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_FILES if now == resource.RLIM_INFINITY else now


def _exit_now(number: int, _: FrameType | None) -> None:
    with suppress(RuntimeError):  # the signal interrupted a write to stderr
        sys.stderr.flush()
    if number == signal.SIGINT and os.isatty(2):
        os.write(2, b"\nStopped.\n")
    os._exit(0 if number == signal.SIGTERM else 128 + number)


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
    """A context in which `descriptor` is redirected to `target`.

    Yields a new descriptor for the old file, which no child process inherits.
    """
    import fcntl

    # 3 or higher: a client may have closed any of the three standard descriptors.
    own = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.dup2(target, descriptor)
    try:
        yield own
    finally:
        os.dup2(own, descriptor)
        os.close(own)
