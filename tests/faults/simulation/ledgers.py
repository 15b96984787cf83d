"""The ledgers of a simulated run: real databases, which can fail, and whose processes can be killed."""

import os
import signal
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import psycopg
from psycopg.rows import dict_row

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.ledger.base import Transaction
from kallyai_mcp.calls.ledger.postgres import PostgresDatabase
from kallyai_mcp.calls.ledger.sqlite import SqliteDatabase
from kallyai_mcp.calls.records import AccountKey, CallRecord, to_row
from kallyai_mcp.calls.schedule import Schedule
from tests.faults.simulation.plan import MANY

Row = dict[str, Any]

_NEWER, _MANY = "t-newer", "t-many-"

_OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
"""The connections of this run; another one may use another database of the server."""

Result = TypeVar("Result")
Failure = Literal["before", "after"]
"""A ledger that fails does so before it has done anything, or after it has, so that only its confirmation is lost."""

_full_disks: list[int] = []
"""The length that no file may exceed, for each disk that is full now. One may become full while another one is."""

_SLOW_SECONDS, _BUSY_SECONDS = 0.2, 10.0
"""How long a process waits for a ledger that another program locks, or that hangs, in real time; and for any other."""


class KillableSqlite(SqliteDatabase):
    """The SQLite driver of a process that can be killed."""

    async def _run_sync(self, work: Callable[[], Result]) -> Result:
        """At once: with a thread, a run takes twice as long."""
        return work()

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
    """Where some processes have their ledger: a file, or the URL of a PostgreSQL database with the clock `now`.

    It `is_slow` when it is going to be locked by another program, or to hang. `failure` is how it fails now;
    `clock_set` is how many seconds the clock of its machine has been set forward; `changes` counts what may have
    changed it.
    """

    def __init__(self, place: str, now: Callable[[], datetime], *, is_slow: bool = False) -> None:
        self._seconds = _SLOW_SECONDS if is_slow else _BUSY_SECONDS
        self.clock_set = 0.0
        self.changes = 0
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
        return KillablePostgres(self._place, now=self._now, seconds=self._seconds)

    def version(self) -> object:
        """See `Database.version`; exact, because all of a run happens within milliseconds."""
        return self.changes if not self.is_file or Path(self._place).exists() else None

    def delete(self) -> None:
        """Delete the file while processes use it."""
        self.changes += 1
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

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Let no file of this process become longer than the ledger's files are now, as on a full disk."""
        sizes = [path.stat().st_size for path in Path(self._place).parent.glob(f"{Path(self._place).name}*")]
        limit = max(sizes, default=0)
        _full_disks.append(limit)
        _limit_files()
        try:
            yield
        finally:
            _full_disks.remove(limit)
            _limit_files()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Let the PostgreSQL server answer on no connection that is open now. New ones are served."""
        with self._connected() as connection:
            rows = connection.execute(f"SELECT pid {_OTHERS}").fetchall()
        _signal(rows, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(rows, signal.SIGCONT)

    def end_connections(self) -> None:
        """Let the PostgreSQL server end every connection, as a restart does; all leases end with them."""
        with self._connected() as connection:
            connection.execute(f"SELECT pg_terminate_backend(pid) {_OTHERS}")

    def add_newer_record(self, account: str) -> None:
        """Add a record as a later version may have left it: a submission that can't be read."""
        self.changes += 1
        newer = {"tracking_id": _NEWER, "submission": '{"version": 9}', "state": "sent", "worker": "another"}
        row = self._scheduled(account, 0, self._now()) | newer
        if self.is_file and Path(self._place).exists():
            with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(self._place)) as db, db:
                db.execute(_insertion(row), row)
                db.execute("UPDATE schema_version SET version = version + 1")

    async def add_due(self, account: str, number: int, due: datetime) -> None:
        """Add so many calls, each to a number of its own, that are due at `due`."""
        rows = [self._scheduled(account, place, due) for place in range(number)]
        self.changes += 1

        def insert(tx: Transaction) -> None:
            for row in rows:
                tx.run(_insertion(row), **row)

        database = self.open(self._now)
        await database.write(insert)
        await database.aclose()

    def _scheduled(self, account: str, place: int, due: datetime) -> Row:
        """A row for a call to a number of its own."""
        fields = {"task_category": "general", "task_description": MANY, "respondent_phone": f"+1415556{place:04}"}
        wanted, key = Submission.model_validate(fields), AccountKey("http://service", account)
        schedule = Schedule(due, due + timedelta(minutes=30))
        record = CallRecord.new(wanted, key, self._now(), timezone="UTC", schedule=schedule)
        return to_row(record) | {"tracking_id": f"{_MANY}{place}"}

    def rows(self, accounts: tuple[str, ...]) -> list[Row]:
        """The rows of these accounts, in the order in which they were inserted, but for those that were added here."""
        order = "placed_at, rowid" if self.is_file else "placed_at"
        ours = [row for row in self._all("calls", order) if row["account"] in accounts]
        return [row for row in ours if row["tracking_id"] != _NEWER and not row["tracking_id"].startswith(_MANY)]

    def many_rows(self) -> list[Row]:
        """The rows that `add_due` added."""
        return [row for row in self._all("calls", "tracking_id") if row["tracking_id"].startswith(_MANY)]

    def lists(self, accounts: tuple[str, ...]) -> list[Row]:
        """The call lists of these accounts, in the order in which they were asked for."""
        return [row for row in self._all("call_lists", "asked_at") if row["account"] in accounts]

    def _all(self, table: str, order: str) -> list[Row]:
        """The rows of a table; none where no process could make it yet."""
        statement = f"SELECT * FROM {table} ORDER BY {order}"  # noqa: S608 - constants
        if not self.is_file:
            with self._connected() as connection, suppress(psycopg.errors.UndefinedTable):
                return connection.execute(statement.encode()).fetchall()
            return []
        if not Path(self._place).exists():
            return []
        with closing(sqlite3.connect(self._place)) as db:
            db.row_factory = sqlite3.Row
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchall():
                return []
            return [dict(row) for row in db.execute(statement)]

    def _connected(self) -> psycopg.Connection[Row]:
        return psycopg.connect(self._place, autocommit=True, row_factory=dict_row)


def _insertion(row: Row) -> str:
    names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
    return f"INSERT INTO calls ({names}) VALUES ({places})"  # noqa: S608 - names of ours


def _signal(rows: Iterable[Row], number: signal.Signals) -> None:
    """Send a signal to the server's side of some connections."""
    for row in rows:
        with suppress(ProcessLookupError):
            os.kill(row["pid"], number)


def _limit_files() -> None:
    """Let no file of this process become longer than the full disks allow."""
    import resource  # not on Windows

    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(_full_disks, default=most), most))
