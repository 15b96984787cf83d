"""One process at a time, and how the others learn that something changed."""

import logging
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from kallyai_mcp.auth.file_store import make_folder

_log = logging.getLogger(__name__)

_POLL = 0.05


@asynccontextmanager
async def one_process(path: Path, wait: float) -> AsyncIterator[bool]:
    """Hold the lock file at `path` against every other process, without blocking the event loop.

    Args:
        path: The lock file; made with its folder.
        wait: The most seconds to wait for another holder.

    Yields:
        False when another holder still had it after `wait`. Where no lock file can be made, as in a folder that is
        read only, nobody can be kept out: the log says so, and it yields True.
    """
    from filelock import FileLock, Timeout  # late: its import costs 64 ms that a server's first answer needn't wait for

    lock = FileLock(path, thread_local=False)
    held = False
    try:
        make_folder(path.parent)
        lockable = os.access(path.parent, os.W_OK)
        with anyio.move_on_after(wait if lockable else 0):
            while lockable and not held:
                try:
                    # One attempt takes microseconds, and leaves no thread that takes the lock after a cancellation.
                    lock.acquire(blocking=False)
                    held = True
                except Timeout:
                    await anyio.sleep(_POLL)
    except OSError:
        lockable = False
    if not lockable:
        _log.warning("no lock can be made in %s, so two processes may renew the sign-in at the same time", path.parent)
    try:
        yield held or not lockable
    finally:
        if held:
            lock.release()


class Stamp:
    """A small file that changes whenever any process changes the sign-in, so that none has to ask a keyring about it.

    Args:
        path: The file; its content is random and means nothing but "another one".
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes:
        """What the stamp is now; empty when there is none."""
        try:
            return self._path.read_bytes()
        except OSError:
            return b""

    def renew(self) -> bytes:
        """Change the stamp; returns what it is now."""
        try:
            self._path.write_bytes(secrets.token_hex(8).encode())
        except OSError as error:
            _log.warning("%s can't be written (%s), so other processes learn of this late", self._path, error)
        return self.read()
