"""The ledgers of a simulated run: real databases, which can fail, and whose processes can be killed."""

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import psycopg
from psycopg.rows import dict_row

from kallyai_mcp.calls.ledger.postgres import PostgresDatabase
from kallyai_mcp.calls.ledger.sqlite import SqliteDatabase

Row = dict[str, Any]

_NEWER = "t-newer"
Result = TypeVar("Result")
Failure = Literal["before", "after"]
"""A ledger that fails does so before it has done anything, or after it has, so that only its confirmation is lost."""

_LOCKED_SECONDS, _BUSY_SECONDS = 0.2, 10.0
"""How long a process waits for a ledger that another program locks, in real time; and for those of other processes."""


class KillableSqlite(SqliteDatabase):
    """The SQLite driver of a process that can be killed."""

    def kill(self) -> None:
        """What the system does when a process is killed: its lock is free, and its file stays."""
        self._close()
        if self._lease is not None:
            self._lease.release()


class KillablePostgres(PostgresDatabase):
    """The PostgreSQL driver of a process that can be killed."""

    def kill(self) -> None:
        """What the system does when a process is killed: its connections end."""
        if self._lease is not None:
            self._lease.connection.close()


Killable = KillableSqlite | KillablePostgres


class LedgerPlace:
    """Where some processes have their ledger.

    Args:
        place: The file, or the URL of a PostgreSQL database.
        now: The clock of a PostgreSQL database.
        is_locked: It is going to be locked by another program.

    Attributes:
        failure: How it fails now; None when it works.
        clock_set: How many seconds the clock of its machine has been set forward.
    """

    def __init__(self, place: str, now: Callable[[], datetime], *, is_locked: bool = False) -> None:
        self._seconds = _LOCKED_SECONDS if is_locked else _BUSY_SECONDS
        self.clock_set = 0.0
        self._place = place
        self._now = now
        self.failure: Failure | None = None
        self._lock: sqlite3.Connection | None = None

    @property
    def is_file(self) -> bool:
        """Whether it is SQLite's."""
        return not self._place.startswith("postgresql:")

    def open(self, now: Callable[[], datetime]) -> Killable:
        """A database for one more process, which has the clock `now`."""
        if self.is_file:
            return KillableSqlite(Path(self._place), now=now, seconds=self._seconds)
        return KillablePostgres(self._place, now=self._now)

    def failure_now(self) -> Failure | None:
        """How it fails now; it may change during a use."""
        return self.failure

    def delete(self) -> None:
        """Delete the file while processes use it."""
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self._place}{suffix}").unlink(missing_ok=True)

    def lock(self) -> None:
        """Let another program hold the file's write lock."""
        if Path(self._place).exists():
            self._lock = sqlite3.connect(self._place, isolation_level=None, check_same_thread=False)
            with suppress(sqlite3.OperationalError):
                self._lock.execute("BEGIN IMMEDIATE")

    def unlock(self) -> None:
        """End what `lock` began."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def end_connections(self) -> None:
        """Let the PostgreSQL server end every connection, as a restart does; all leases end with them."""
        with self._connected() as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    def add_newer_record(self, account: str) -> None:
        """Add a record as a later version may have left it: a submission that can't be read."""
        row = {
            "tracking_id": _NEWER,
            "api": "http://service",
            "account": account,
            "fingerprint": "f",
            "day": "2026-01-26",
            "generation": 0,
            "idempotency_key": "k",
            "number": "+14155550100",
            "submission": '{"version": 9}',
            "timezone": "UTC",
            "worker": "another",
            "state": "sent",
            "placed_at": self._now().timestamp(),
        }
        if self.is_file and Path(self._place).exists():
            names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
            with closing(sqlite3.connect(self._place)) as db, db, suppress(sqlite3.OperationalError):
                db.execute(f"INSERT OR REPLACE INTO calls ({names}) VALUES ({places})", row)  # noqa: S608 - constants
                db.execute("UPDATE schema_version SET version = version + 1")

    def rows(self, accounts: tuple[str, ...]) -> list[Row]:
        """The rows of these accounts, in the order in which they were inserted; those of a later version left out."""
        if not self.is_file:
            with self._connected() as connection:
                found = connection.execute("SELECT * FROM calls ORDER BY placed_at").fetchall()
                return [row for row in found if row["account"] in accounts and row["tracking_id"] != _NEWER]
        if not Path(self._place).exists():
            return []
        with closing(sqlite3.connect(self._place)) as db:
            db.row_factory = sqlite3.Row
            found = [dict(row) for row in db.execute("SELECT * FROM calls ORDER BY placed_at, rowid")]
        return [row for row in found if row["account"] in accounts and row["tracking_id"] != _NEWER]

    def _connected(self) -> psycopg.Connection[Row]:
        return psycopg.connect(self._place, autocommit=True, row_factory=dict_row)
