"""The PostgreSQL driver: one database, shared by the workers of many machines (extra `postgres`)."""

import logging
import re
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any

import anyio
import anyio.to_thread
import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from kallyai_mcp.calls.ledger.base import ConstraintError, LedgerUnavailableError, Result, Row, storable
from kallyai_mcp.calls.ledger.schema import migrate

_log = logging.getLogger(__name__)

_Connection = psycopg.Connection[Row]

_SECONDS = 8.0
"""How long a transaction may take, with the wait for a connection, before the database counts as hanging."""

_CONNECTIONS = 8
"""How many connections one process keeps at most, besides the one that holds its lease."""

_LEASES = 0x6B61_6C79
"""The first half of our advisory locks' keys; the second is the worker's number."""

_MIGRATION_LOCK = (0x6B61_6C7A, 0)

_OPTIONS: dict[str, str | int] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "options": "-c statement_timeout=5000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=30000",
    "application_name": "kallyai-mcp",
}

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)")


class PostgresDatabase:
    """A database at a URL, over TLS where the URL says so (`sslmode`).

    A transaction runs in a thread, with a time-out that also ends the wait for a server that hangs. A worker's lease is
    a session advisory lock on a connection of its own: the server drops it when the connection ends.

    Args:
        url: `postgresql://user:password@host:port/name`; the user may create tables.
        now: A clock in place of the server's; for tests.
    """

    def __init__(self, url: str, *, now: Callable[[], datetime] | None = None) -> None:
        self._conninfo = make_conninfo(url, **_OPTIONS)
        self._clock = now
        self._pool: ConnectionPool[_Connection] | None = None
        self._lease: _Connection | None = None
        self._worker: str | None = None
        self._opening = anyio.Lock()
        self._threads = anyio.CapacityLimiter(_CONNECTIONS)

    async def read(self, work: "Callable[[PostgresTransaction], Result]", *, empty: Result) -> Result:
        """See `Database.read`; there is always a database, so `empty` is not used."""
        del empty
        return await self.write(work)

    async def write(self, work: "Callable[[PostgresTransaction], Result]") -> Result:
        """See `Database.write`."""
        pool = await self._opened()
        used: list[_Connection] = []

        def writing() -> Result:
            with pool.connection() as connection:
                used.append(connection)
                return work(PostgresTransaction(connection, self._clock))

        return await self._in_thread(writing, used)

    async def take_lease(self) -> str:
        """See `Database.take_lease`."""
        await self._opened()
        used: list[_Connection] = []

        def taking() -> str:
            connection = psycopg.connect(self._conninfo, autocommit=True, row_factory=dict_row)
            used.append(connection)
            while True:
                number = secrets.randbits(31)
                found = connection.execute("SELECT pg_try_advisory_lock(%s, %s) AS ok", (_LEASES, number)).fetchone()
                if found is not None and found["ok"]:
                    break
            if self._lease is not None:
                self._lease.close()
            self._lease, self._worker = connection, f"{number:08x}"
            return self._worker

        return await self._in_thread(taking, used)

    async def aclose(self) -> None:
        """See `Database.aclose`."""
        pool, lease, self._pool, self._lease = self._pool, self._lease, None, None

        def closing() -> None:
            if lease is not None:
                with suppress(psycopg.Error):
                    lease.execute("SELECT pg_advisory_unlock_all()")  # at once; the server notices a close only later
                lease.close()
            if pool is not None:
                pool.close(timeout=1)

        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(closing)

    async def _opened(self) -> "ConnectionPool[_Connection]":
        """The pool; on first use the server's settings are checked and the schema is brought up to date."""
        if self._pool is not None:
            return self._pool
        async with self._opening:
            if self._pool is None:
                used: list[_Connection] = []

                def preparing() -> None:
                    with psycopg.connect(self._conninfo, row_factory=dict_row) as connection:
                        used.append(connection)
                        _check_durability(connection)
                        connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", _MIGRATION_LOCK)
                        migrate(PostgresTransaction(connection, self._clock))

                await self._in_thread(preparing, used)
                pool: ConnectionPool[_Connection] = ConnectionPool(
                    self._conninfo,
                    min_size=0,
                    max_size=_CONNECTIONS,
                    timeout=_SECONDS / 2,
                    # Else the pool waits up to minutes between two attempts, also when the server is back long since.
                    reconnect_timeout=_SECONDS / 2,
                    max_idle=60,
                    check=ConnectionPool.check_connection,
                    kwargs={"row_factory": dict_row},
                    open=False,
                )
                # Others use it as soon as it is set, so only an open pool may be.
                await self._in_thread(pool.open, used)
                self._pool = pool
        return self._pool

    async def _in_thread(self, work: Callable[[], Result], used: list[_Connection]) -> Result:
        # Shielded: half of a transaction must not be taken for none. The time-out bounds the wait.
        with anyio.CancelScope(shield=True), anyio.move_on_after(_SECONDS):
            try:
                return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)
            except psycopg.IntegrityError as error:
                raise ConstraintError(error.diag.constraint_name or type(error).__name__) from error
            except (psycopg.Error, PoolTimeout, OSError) as error:
                # The driver's own words can quote the URL with its password.
                _log.warning("the ledger's database can't be used: %s", type(error).__name__)
                why = type(error).__name__
                raise LedgerUnavailableError(f"The ledger's database can't be used ({why})") from None
        for connection in used:
            _hang_up(connection)
        raise LedgerUnavailableError(f"The ledger's database did not answer within {_SECONDS:g} s")


class PostgresTransaction:
    """One open transaction; see `Transaction`.

    Args:
        connection: Where it is open.
        clock: In place of the server's clock; None for the server's.
    """

    def __init__(self, connection: _Connection, clock: Callable[[], datetime] | None) -> None:
        self._connection = connection
        self._clock = clock
        self._now: float | None = None

    def rows(self, statement: str, **values: Any) -> list[Row]:
        """See `Transaction.rows`."""
        return self._connection.execute(_translated(statement), storable(values)).fetchall()

    def run(self, statement: str, **values: Any) -> int:
        """See `Transaction.run`."""
        return self._connection.execute(_translated(statement), storable(values)).rowcount

    def now(self) -> float:
        """See `Transaction.now`."""
        if self._clock is not None:
            return self._clock().timestamp()
        if self._now is None:  # asked once, and only after the locks are held: the start may be long ago
            [row] = self.rows("SELECT EXTRACT(EPOCH FROM clock_timestamp())::double precision AS now")
            self._now = row["now"]
        return float(self._now)

    def holds_lease(self, worker: str) -> bool:
        """See `Transaction.holds_lease`."""
        return bool(
            self.rows(
                "SELECT 1 AS held FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = :leases "
                "AND objid = :number AND objsubid = 2 "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                leases=_LEASES,
                number=int(worker, 16),
            )
        )

    def is_abandoned(self, worker: str) -> bool:
        """See `Transaction.is_abandoned`; the lock that proves it is ours until the transaction ends."""
        try:
            number = int(worker, 16)
        except ValueError:
            return True
        [row] = self.rows("SELECT pg_try_advisory_xact_lock(:leases, :number) AS ok", leases=_LEASES, number=number)
        return bool(row["ok"])


def _check_durability(connection: _Connection) -> None:
    """Refuse a server that may lose what it has confirmed.

    Raises:
        LedgerUnavailableError: `fsync` or `synchronous_commit` is off.
    """
    for name in ("fsync", "synchronous_commit"):
        row = connection.execute("SELECT current_setting(%s) AS value", (name,)).fetchone()
        if row is not None and row["value"] == "off":
            raise LedgerUnavailableError(
                f"The PostgreSQL server runs with {name} = off, so a crash could lose calls; switch it on"
            )


@lru_cache(maxsize=256)
def _translated(statement: str) -> bytes:
    """A statement with psycopg's `%(name)s` in place of `:name`."""
    return _PARAMETER.sub(r"%(\1)s", statement).encode()


def _hang_up(connection: _Connection) -> None:
    """Cut the connection under a thread that waits for a server that hangs, so that the thread ends."""
    with suppress(OSError, psycopg.Error, ValueError), socket.socket(fileno=socket.dup(connection.fileno())) as cut:
        cut.shutdown(socket.SHUT_RDWR)
