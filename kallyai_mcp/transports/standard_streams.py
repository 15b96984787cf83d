"""The process's standard input and output, its end, and its open files.

This module imports only the standard library.
"""

import os
import signal
import stat
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

_MOST_FILES = 10_240 if sys.platform == "darwin" else 65_536
"""The most open files of this process. macOS allows no more, although it reports no limit."""

_STREAMS = (
    (0, "stdin", os.O_RDONLY, "r"),
    (1, "stdout", os.O_RDONLY, "w"),
    (2, "stderr", os.O_WRONLY, "w"),
)
"""Each standard stream's number and name, and how it is opened where it was closed."""


def can_be_waited_for(descriptor: int) -> bool:
    """Whether it is a pipe or a socket of a POSIX system.

    Only for these can a program wait without a thread.
    """
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False  # it is closed
    return os.name == "posix" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))


def open_closed_streams() -> None:
    """Open those of stdin, stdout, and stderr that the parent process has closed.

    Otherwise the next file or socket gets the number of the stream, and with it what is written
    there. stdin is at its end then, a write to stdout fails, and what is written to stderr is lost.
    """
    for descriptor, name, access, mode in _STREAMS:
        try:
            os.fstat(descriptor)
        except OSError:  # it is closed, and the lowest free number
            os.set_inheritable(os.open(os.devnull, access), True)
            opened = open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, opened)


def discard(descriptor: int) -> None:
    """Let what is written to a descriptor be lost.

    What is left in a buffer would fail again at the end of the process, and change its exit code.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def take_stdio() -> tuple[int, int]:
    """Take standard input and output for the protocol; returns the descriptors to read from and to
    write to.

    From then on, reads from descriptor 0 get the end of the file, and writes to descriptor 1 go to
    stderr. So other output of the process does not reach the client. No child process inherits the
    new descriptors.
    """
    null = os.open(os.devnull, os.O_RDWR)  # this takes the number of stderr if that is closed
    stdin = os.dup(0)
    stdout = os.dup(1)
    os.dup2(null, 0)
    os.dup2(2, 1)
    return stdin, stdout


def exit_on_signals(flush_log: Callable[[], object] | None = None) -> None:
    """Let SIGINT and SIGTERM end the process at once, after `flush_log`.

    A thread that reads stdin can't be interrupted, so the event loop would wait until the client
    closes stdin. No call is lost, because each step of a call is written into the ledger before it
    is done.
    """

    def exit_now(number: int, _: FrameType | None) -> None:
        if flush_log is not None:
            flush_log()
        if sys.stderr is not None:
            with suppress(RuntimeError):  # the signal interrupted a write to stderr
                sys.stderr.flush()
        os._exit(0 if number == signal.SIGTERM else 128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, exit_now)


def exit_within(seconds: float) -> None:
    """End the process after `seconds` at the latest, even if a task or a thread does not end.

    A client that has closed stdin waits about two seconds for its server and then kills it (MCP
    specification, "Lifecycle", "Shutdown").
    """
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()


def allow_open_files() -> int:
    """Raise the limit of open files as far as the system allows; returns it.

    On many systems it is 1,024 or 256.
    """
    try:
        import resource
    except ImportError:
        return _MOST_FILES  # Windows has no such limit
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    now, most = (
        _MOST_FILES if limit == resource.RLIM_INFINITY else min(limit, _MOST_FILES)
        for limit in limits
    )
    if now < most:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, limits[1]))
            now = most
    return now
