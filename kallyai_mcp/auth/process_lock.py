"""A lock between processes, and a file that shows processes that the sign-in has changed."""

import logging
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from kallyai_mcp.auth.file_store import make_folder

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.05


@asynccontextmanager
async def process_lock(path: Path, wait: float) -> AsyncIterator[bool]:
    """A context that holds the lock file at `path`. Waiting for the lock does not block the event loop.

    Args:
        path: The lock file.
        wait: How many seconds to wait for the lock.

    Yields:
        False if another process still has the lock after that. True if this process has it, or if no lock file can be
        created, as in a read-only folder; then a warning is logged.
    """
    # Imported late: it takes 64 ms, and a server's first answer does not need it.
    from filelock import FileLock, Timeout

    lock = FileLock(path, thread_local=False)
    is_held = can_lock = False
    try:
        make_folder(path.parent)
        # On Windows, a lock file that can't be created looks like one that is locked, and `os.access` ignores the
        # system's access lists. So create another file.
        with tempfile.TemporaryFile(dir=path.parent):
            can_lock = True
        with anyio.move_on_after(wait):
            while not is_held:
                try:
                    # In a thread, it could get the lock after a cancellation. One attempt takes microseconds.
                    lock.acquire(blocking=False)
                    is_held = True
                except Timeout:
                    await anyio.sleep(_POLL_SECONDS)
    except OSError:
        can_lock = False
    if not can_lock:
        _log.warning("no lock can be made in %s, so two processes may renew the sign-in at the same time", path.parent)
    try:
        yield is_held or not can_lock
    finally:
        if is_held:
            lock.release()


class ChangeFile:
    """A file that each process rewrites when it changes the sign-in, so that the others need not ask a keyring.

    Args:
        path: The file. Its content is random: only its changes matter.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes:
        """The content; empty if there is no file."""
        try:
            return self._path.read_bytes()
        except OSError:
            return b""

    def rewrite(self) -> bytes:
        """Change the content; returns the new content."""
        try:
            self._path.write_bytes(secrets.token_hex(8).encode())
        except OSError as error:
            _log.warning("%s can't be written (%s), so other processes learn of this late", self._path, error)
        return self.read()
