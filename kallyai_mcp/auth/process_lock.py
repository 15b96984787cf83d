"""A lock between processes, and a file that tells processes that something has changed."""

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
    """Hold the lock file at `path`, without blocking the event loop.

    Yields:
        False if another process still had the lock after `wait` seconds. True if this process has it, or if no lock
        file can be created, as in a read-only folder; that is logged.
    """
    from filelock import FileLock, Timeout  # late: the import takes 64 ms, and a server's first answer does not need it

    lock = FileLock(path, thread_local=False)
    is_held = can_lock = False
    try:
        make_folder(path.parent)
        # Not by os.access, which knows nothing of Windows' access lists. There, a lock file that can't be created looks
        # like one that is locked.
        with tempfile.TemporaryFile(dir=path.parent):
            can_lock = True
        with anyio.move_on_after(wait):
            while not is_held:
                try:
                    # Not in a thread, which could get the lock after a cancellation. One attempt takes microseconds.
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
    """A small file that each process rewrites when it changes the sign-in, so that the others need not ask a keyring.

    Args:
        path: The file. Its content is random; only whether it has changed matters.
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
        """Change the content; returns the new one."""
        try:
            self._path.write_bytes(secrets.token_hex(8).encode())
        except OSError as error:
            _log.warning("%s can't be written (%s), so other processes learn of this late", self._path, error)
        return self.read()
