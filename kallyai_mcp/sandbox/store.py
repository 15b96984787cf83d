"""The state of a sandbox: one SQLite database, in memory or in a file.

A commit in a file survives `kill -9`.
"""

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

_REPORTED = ("highlights", "next_steps", "duration_seconds")
"""The columns of older versions that are in the column `report` now."""

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
            with self.transaction() as db:
                _upgrade(db)
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


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    """The columns of a table; an empty list if there is no such table."""
    return [row["name"] for row in db.execute(f"PRAGMA table_info({table})")]


def _upgrade(db: sqlite3.Connection) -> None:
    """Bring a file of an older version to this one's form."""
    if "departs" not in _columns(db, "bookings"):
        db.execute("ALTER TABLE bookings ADD COLUMN departs TEXT")
    if _columns(db, "calls"):
        for row in db.execute("SELECT * FROM calls ORDER BY rowid").fetchall():
            insert(db, "placed_calls", _with_report(dict(row)))
        db.execute("DROP TABLE calls")


def _with_report(row: dict[str, object]) -> dict[str, object]:
    """A row of an older version, with what was reported in one column."""
    report = {name: row.pop(name) for name in _REPORTED}
    return row | {"report": json.dumps(report)}


def insert(db: sqlite3.Connection, table: str, row: Mapping[str, object]) -> None:
    """Insert a row, given by its columns."""
    places = ", ".join(f":{name}" for name in row)
    db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", row)  # noqa: S608 - our names
