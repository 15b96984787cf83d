"""Where the sandbox keeps its state: one SQLite database, in memory or in a file that survives a kill -9."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PATIENCE_SECONDS = 10
"""How long to wait for another process that has the database."""


class Store:
    """One SQLite database with short transactions.

    Args:
        path: The file; None keeps everything in memory.
        schemas: DDL scripts of the rooms that keep tables here; each must be repeatable (`IF NOT EXISTS`).

    Raises:
        sqlite3.Error: The file can't be opened, or is no database.
    """

    def __init__(self, path: Path | None, *schemas: str) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            str(path) if path is not None else ":memory:",
            isolation_level=None,  # transactions are opened and closed here, never by the driver's guess
            check_same_thread=False,
            timeout=_PATIENCE_SECONDS,
        )
        self._connection.row_factory = sqlite3.Row
        try:
            if path is not None:
                self._write_ahead()
                self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(f"BEGIN IMMEDIATE; {' '.join(schemas)} COMMIT;")
        except BaseException:
            self._connection.close()
            raise

    def _write_ahead(self) -> None:
        """Switch to the write-ahead log, which SQLite refuses at once while another process does the same."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One immediate transaction: committed at the end of the block, rolled back when it raises.

        Keep it short and never await inside: other tasks and processes wait for it.
        """
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite has rolled back by itself when, say, the disk is full
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the database; what was committed stays in the file."""
        with self._lock:
            self._connection.close()
