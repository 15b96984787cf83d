"""The ledgers of a simulated run: real databases, which can fail, and whose processes can be
killed.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import aclosing, closing, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row
from typing_extensions import override

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.admin import Admin
from kallyai_mcp.calls.errors import AccountInUseError
from kallyai_mcp.calls.ledger.base import Ledger, Tx
from kallyai_mcp.calls.ledger.emptied import is_emptied
from kallyai_mcp.calls.ledger.postgres import _CONNECTIONS as MOST_CONNECTIONS
from kallyai_mcp.calls.ledger.postgres import PostgresDatabase
from kallyai_mcp.calls.ledger.record_rows import to_row
from kallyai_mcp.calls.ledger.sqlite import SqliteDatabase
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey, CallRecord
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.calls.timing import Timing
from tests.faults.simulation.world import REAL_SECONDS, World
from tests.many_records import add_rows

Row = dict[str, Any]

_NEWER = "t-newer"

_OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
"""The connections of this run; another one may use another database of the server."""

_BLOCKED = f"SELECT count(*) AS number {_OTHERS} AND cardinality(pg_blocking_pids(pid)) > 0"

_PATIENT = " -c lock_timeout=120000 -c statement_timeout=120000"
"""Options of connections: real seconds pass while a transaction waits for its turn, and simulated
ones do not.
"""

Result = TypeVar("Result")
Failure = Literal["before", "after"]
"""A ledger that fails does so before it has done anything, or after it has, so that only its
confirmation is lost.
"""


class KillableSqlite(SqliteDatabase):
    """The SQLite driver of a process that can be killed."""

    @override
    async def _run_in_thread(self, work: Callable[[], Result]) -> Result:
        """At once: with a thread, a run takes twice as long."""
        return work()

    def kill(self) -> None:
        """What the system does when a process is killed: its lock is free, and its file stays."""
        self._close()
        if self._lease is not None:
            self._lease.release()


class KillablePostgres(PostgresDatabase):
    """The PostgreSQL driver of a process that can be killed.

    Its transactions overlap with those of the other processes, statement by statement: each
    statement waits for its turn, also the first one, which locks the account, and `COMMIT`.
    """

    def __init__(self, url: str, world: World) -> None:
        super().__init__(url, now=world.now, seconds=REAL_SECONDS)
        options = conninfo_to_dict(self._conninfo)["options"]
        self._conninfo = self._pool.conninfo = make_conninfo(
            self._conninfo, options=f"{options}{_PATIENT}"
        )
        self._world = world
        self._free_connections = anyio.CapacityLimiter(MOST_CONNECTIONS)

    @override
    async def write(
        self,
        work: Callable[[Tx], Result],
        account: AccountKey | None = None,
        *,
        is_durable: bool = True,
    ) -> Result:
        """See `Database.write`; within `World.working`."""
        if not self._world.overlaps:
            return await super().write(work, account, is_durable=is_durable)
        number, loop = self._world.new_transaction(), asyncio.get_running_loop()

        def wait_for_turn() -> None:
            if not self._world.runs_alone(number):
                asyncio.run_coroutine_threadsafe(self._world.turn(number), loop).result()

        with self._world.waiting():
            await self._free_connections.acquire_on_behalf_of(number)
        try:
            await self._world.turn(number)
            return await super().write(
                lambda tx: _in_turns(tx, work, wait_for_turn), account, is_durable=is_durable
            )
        finally:
            self._free_connections.release_on_behalf_of(number)

    def kill(self) -> None:
        """What the system does when a process is killed: its connections end."""
        if self._lease is not None:
            self._lease.close()


def _in_turns(tx: Tx, work: Callable[[Tx], Result], wait_for_turn: Callable[[], None]) -> Result:
    """Do `work`, and wait before each statement, and before the end of the transaction, also after
    an error.
    """
    run_statement = tx._execute  # noqa: SLF001 - a test looks in between

    def execute(statement: str, values: Row) -> Any:
        wait_for_turn()
        cursor = run_statement(statement, values)
        # Sends what would be sent later, so that the server has run it now.
        with cursor.connection.pipeline():
            return cursor

    tx._execute = execute  # noqa: SLF001
    try:
        return work(tx)
    finally:
        wait_for_turn()


Killable = KillableSqlite | KillablePostgres


class LedgerPlace:
    """Where some processes of a `world` have their ledger: a file, or the URL of a PostgreSQL
    database.

    `failure` is how it fails now; `clock_set` is how many seconds the clock of its machine has been
    set forward; `changes` counts what may have changed it.
    """

    def __init__(self, place: str, world: World) -> None:
        self.clock_set = 0.0
        self.changes = 0
        self._place = place
        self._world = world
        self._now = world.now
        self.failure: Failure | None = None
        self._looking: psycopg.Connection[Row] | None = None
        if not self.is_file:
            world.count_blocked = self._count_blocked

    @property
    def is_file(self) -> bool:
        """Whether it is SQLite's."""
        return not self._place.startswith("postgresql:")

    def open(self, now: Callable[[], datetime]) -> Killable:
        """A database for one more process, which has the clock `now`."""
        if self.is_file:
            return KillableSqlite(Path(self._place), now=now)
        return KillablePostgres(self._place, self._world)

    def version(self) -> object:
        """See `Database.version`; exact, because all of a run happens within milliseconds."""
        return self.changes if not self.is_file or Path(self._place).exists() else None

    def delete(self) -> None:
        """Delete the file while processes use it."""
        self.changes += 1
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self._place}{suffix}").unlink(missing_ok=True)

    async def delete_user(self, account: str) -> None:
        """Delete all that is stored of an account, as the operator does; nothing while a call of it
        is in progress.
        """
        self.changes += 1
        async with aclosing(self.open(self._now)) as database:
            ledger = Ledger(database, policy=CallPolicy(), timing=Timing())
            with suppress(AccountInUseError):
                await Admin(ledger, "http://service").delete(account)

    def end_connections(self) -> None:
        """Let the PostgreSQL server end every connection, as a restart does; all leases end with
        them.
        """
        with self._connected() as connection:
            connection.execute(f"SELECT pg_terminate_backend(pid) {_OTHERS}")

    def add_newer_record(self, account: str) -> None:
        """Add a record as a later version may have left it: a submission that can't be read."""
        self.changes += 1
        newer = {
            "tracking_id": _NEWER,
            "submission": '{"version": 9}',
            "state": "sent",
            "worker": "another",
        }
        fields = {
            "task_category": "general",
            "task_description": "Newer",
            "respondent_phone": "+14155560000",
        }
        wanted, key = Submission.model_validate(fields), AccountKey("http://service", account)
        row = to_row(CallRecord.new(wanted, key, self._now(), timezone="UTC")) | newer
        names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
        if self.is_file and Path(self._place).exists():
            with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(self._place)) as db, db:
                db.execute(f"INSERT INTO calls ({names}) VALUES ({places})", row)  # noqa: S608 - names of ours
                db.execute("UPDATE schema_version SET version = version + 1")

    async def add_due(self, account: str, number: int) -> None:
        """Add so many calls, each to a number of its own, that are due now."""
        self.changes += 1
        fields = {
            "task_category": "general",
            "task_description": "Ask one of many",
            "respondent_phone": "+14155510000",
        }
        schedule = Schedule(self._now(), self._now() + timedelta(minutes=30))
        wanted, key = Submission.model_validate(fields), AccountKey("http://service", account)
        record = CallRecord.new(wanted, key, self._now(), timezone="UTC", schedule=schedule)
        phone = "('+14155' || (510000 + :first + i))"
        own = {
            "number": phone,
            "submission": f"replace(CAST(:submission AS TEXT), '+14155510000', {phone})",
        }
        async with aclosing(self.open(self._now)) as database:
            await add_rows(database, "calls", to_row(record), number, interval=0, expressions=own)

    def rows(self, accounts: tuple[str, ...]) -> list[Row]:
        """The rows of these accounts, in the order in which they were inserted, but for those that
        were added here.
        """
        order = "placed_at, rowid" if self.is_file else "placed_at"
        stored = [row for row in self._all("calls", order) if not is_emptied(row)]
        ours = [row for row in stored if row["account"] in accounts]
        return [row for row in ours if row["tracking_id"] != _NEWER]

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

    def _count_blocked(self) -> int:
        """How many transactions wait for a lock."""
        if self._looking is None or self._looking.closed:
            self._looking = self._connected()
        try:
            return int(self._looking.execute(_BLOCKED).fetchall()[0]["number"])
        except psycopg.OperationalError:  # its connection was ended with all others
            self._looking.close()
            return self._count_blocked()

    def close(self) -> None:
        """Close what this uses itself."""
        if self._looking is not None:
            self._looking.close()

    def _connected(self) -> psycopg.Connection[Row]:
        return psycopg.connect(self._place, autocommit=True, row_factory=dict_row)
