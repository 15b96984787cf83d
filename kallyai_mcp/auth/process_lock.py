"""A lock between processes."""

import logging
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

    Yields False if another process still has the lock after `wait` seconds. Yields True if this process has it, or if
    no lock file can be created, as in a read-only folder, which is logged.
    """
    # Imported late: it takes 64 ms, and a server's first answer does not need it.
    from filelock import FileLock, Timeout

    lock, can_lock = FileLock(path, mode=0o600, thread_local=False), True
    try:
        make_folder(path.parent)
        # On Windows, a lock file that can't be created looks like one that is locked. So create another file.
        tempfile.TemporaryFile(dir=path.parent).close()
        with anyio.move_on_after(wait):
            while not lock.is_locked:
                try:
                    # In a thread, it could get the lock after a cancellation. One attempt takes microseconds.
                    lock.acquire(blocking=False)
                except Timeout:
                    await anyio.sleep(_POLL_SECONDS)
    except OSError:
        can_lock = False
        _log.info("no lock can be made in %s, so two processes may renew the sign-in at the same time", path.parent)
    try:
        yield lock.is_locked or not can_lock
    finally:
        lock.release()
