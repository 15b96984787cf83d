"""The state of a sandbox: one SQLite database, in memory or in a file.

A commit in a file survives `kill -9`.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

_LOCK_TIMEOUT_SECONDS = 10
"""How long to wait for another process that has locked the database."""


class Store:
    """One SQLite database with short transactions, in the file `path`; None for a database in
    memory.
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            for folder in [path.parent, *path.parent.parents][::-1]:
                # `parents=True` would leave the modes to the umask.
                folder.mkdir(mode=0o700, exist_ok=True)
            # SQLite gives its other files the same mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            str(path) if path is not None else ":memory:",
            isolation_level=None,  # only `transaction` begins and ends transactions, not the driver
            check_same_thread=False,
            timeout=_LOCK_TIMEOUT_SECONDS,
        )
        self._connection.row_factory = sqlite3.Row
        try:
            if path is not None:
                self._enable_wal()
                self._connection.execute("PRAGMA synchronous = FULL")
            schema = (files("kallyai_mcp.sandbox") / "store.sql").read_text(encoding="utf-8")
            self._connection.executescript(f"BEGIN IMMEDIATE; {schema} COMMIT;")
            # A file of an older version has bookings without departure.
            with self.transaction() as db:
                if "departs" not in [
                    row["name"] for row in db.execute("PRAGMA table_info(bookings)")
                ]:
                    db.execute("ALTER TABLE bookings ADD COLUMN departs TEXT")
        except BaseException:
            self._connection.close()
            raise

    def _enable_wal(self) -> None:
        """Switch to the write-ahead log.

        SQLite does not wait, but fails, if another process does the same.
        """
        deadline = time.monotonic() + _LOCK_TIMEOUT_SECONDS
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if (
                    error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY
                    or time.monotonic() > deadline
                ):
                    raise
                time.sleep(0.01)
            else:
                return

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block in an immediate transaction: committed at its end, rolled back if it
        raises.

        Keep the block short and don't await in it: other tasks and processes wait for it.
        """
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # False if SQLite has rolled back, for example on a full disk.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()
