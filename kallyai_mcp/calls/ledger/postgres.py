"""The PostgreSQL driver: one database, shared by the workers of many machines (extra `postgres`)."""

import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar

import anyio
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from kallyai_mcp.calls.ledger.base import LedgerUnavailableError, Result, Row, StatementError, storable
from kallyai_mcp.calls.ledger.postgres_pool import Connection, PostgresPool, Use
from kallyai_mcp.calls.ledger.schema import migrate

_SECONDS = 8.0
"""The longest time for a transaction, with the wait for a connection. After it, the database counts as unavailable."""

_CONNECTIONS = 8
"""The most connections of one process, besides the one that holds its lease."""

_LEASES = 0x6B61_6C79
"""The first half of the key of each lease's advisory lock. The second half is the worker's number."""

_MIGRATION_LOCK = (0x6B61_6C7A, 0)

_KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}

_SESSION = {
    "statement_timeout": "5000",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "30000",
    # Each statement must see what was written before it got its lock, whatever the default of the database is.
    "default_transaction_isolation": r"read\ committed",
    # On the server's side too, so that the lease of a machine without power ends within half a minute.
    **{f"tcp_{name}": str(value) for name, value in _KEEPALIVES.items()},
}

_OPTIONS: dict[str, str | int] = {
    **_KEEPALIVES,
    "connect_timeout": 5,
    "options": " ".join(f"-c {name}={value}" for name, value in _SESSION.items()),
    "application_name": "kallyai-mcp",
}

_PORTS = range(1, 65536)

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")


@dataclass(frozen=True)
class _Lease:
    """A worker's lease: an advisory lock on a connection that is used for nothing else.

    Attributes:
        worker: The worker's name: its number in hexadecimal.
        connection: The connection that holds the lock.
        backend: The id of the server's process for this connection.
    """

    worker: str
    connection: Connection
    backend: int


class PostgresDatabase:
    """A PostgreSQL database with a ledger; see `Database`. It uses TLS if the URL says so (`sslmode`).

    A transaction runs in a thread, and its time-out also ends the wait for a server that does not answer. A worker's
    lease is a session advisory lock on its own connection: the server releases it when the connection ends.

    Args:
        url: `postgresql://user:password@host:port/name`. The user must be allowed to create tables.
        now: A clock in place of the server's; for tests.
        seconds: The longest time for a transaction, with all waits.

    Raises:
        ValueError: The URL can't be used; the message does not quote it.
    """

    def __init__(self, url: str, *, now: Callable[[], datetime] | None = None, seconds: float = _SECONDS) -> None:
        try:
            conninfo = make_conninfo(url, **_OPTIONS)
            _check_ports(conninfo)
        except (psycopg.Error, ValueError):
            raise ValueError("not a URL of PostgreSQL, such as postgresql://user:password@host:5432/name") from None
        self._clock = now
        self._seconds = seconds
        self._pool = PostgresPool(conninfo, size=_CONNECTIONS, seconds=seconds)
        self._lease: _Lease | None = None
        self._opening = anyio.Lock()
        self._is_prepared = False
        self._is_newer = False

    async def read(self, work: "Callable[[PostgresTransaction], Result]", *, empty: Result) -> Result:
        """See `Database.read`; there is always a database, so `empty` is not used."""
        del empty
        return await self.write(work)

    async def write(self, work: "Callable[[PostgresTransaction], Result]") -> Result:
        """See `Database.write`."""
        await self._prepare()

        def writing(use: Use) -> Result:
            with self._pool.transaction(use) as connection:
                return work(PostgresTransaction(connection, self._clock, self._lease))

        try:
            return await self._pool.run(writing)
        except StatementError as error:
            if self._is_newer:
                raise LedgerUnavailableError(f"The ledger is of a newer version of kallyai-mcp: {error}") from error
            raise

    async def take_lease(self) -> str:
        """See `Database.take_lease`."""
        await self._prepare()
        if self._pool.is_closed:  # nothing would release the lease
            raise LedgerUnavailableError("The ledger's database can't be used: this program is ending")

        def taking(use: Use) -> _Lease:
            connection = self._pool.connect(use, autocommit=True)
            try:
                with suppress(psycopg.errors.UndefinedObject):  # before PostgreSQL 14
                    connection.execute("SET idle_session_timeout = 0")
                while True:
                    number = secrets.randbits(31)
                    [row] = connection.execute(
                        "SELECT pg_try_advisory_lock(%s, %s) AS ok, pg_backend_pid() AS pid", (_LEASES, number)
                    ).fetchall()
                    if row["ok"]:
                        return _Lease(f"{number:08x}", use.take(connection), row["pid"])
            except BaseException:
                connection.close()
                raise

        lease = await self._pool.run(taking)
        if self._lease is not None:
            self._lease.connection.close()
        self._lease = lease
        return lease.worker

    async def aclose(self) -> None:
        """See `Database.aclose`."""
        lease, self._lease = self._lease, None

        def releasing(use: Use) -> None:
            if lease is not None:
                # Released at once, because the server notices only later that a connection was closed.
                use.take(lease.connection).execute("SELECT pg_advisory_unlock_all()")

        with suppress(LedgerUnavailableError):
            await self._pool.run(releasing)
        if lease is not None:
            lease.connection.close()
        await self._pool.aclose()

    async def _prepare(self) -> None:
        """On first use, check the server's settings and migrate the schema."""
        if self._is_prepared:
            return

        def preparing(use: Use) -> None:
            with self._pool.transaction(use) as connection:
                _check_durability(connection)
                connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", _MIGRATION_LOCK)
                self._is_newer = migrate(PostgresTransaction(connection, self._clock, None))

        with anyio.move_on_after(self._seconds):
            async with self._opening:
                if not self._is_prepared:
                    await self._pool.run(preparing)
                    self._is_prepared = True
                return
        raise LedgerUnavailableError(f"The ledger's database did not answer within {self._seconds:g} s")


class PostgresTransaction:
    """One open transaction; see `Transaction`. Its time is the server's, unless there is a `clock`."""

    SKIP_LOCKED: ClassVar[str] = "FOR UPDATE SKIP LOCKED"

    def __init__(self, connection: Connection, clock: Callable[[], datetime] | None, lease: _Lease | None) -> None:
        self._connection = connection
        self._clock = clock
        self._lease = lease
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
        if self._now is None:  # read once, when it is first needed: the locks are held, for which it may have waited
            [row] = self.rows("SELECT EXTRACT(EPOCH FROM clock_timestamp())::double precision AS now")
            self._now = row["now"]
        return float(self._now)

    def holds_lease(self, worker: str) -> bool:
        """See `Transaction.holds_lease`."""
        if self._lease is None or self._lease.worker != worker:
            return False
        return bool(
            self.rows(
                # With `pid`, because another process holds the same lock for a moment in `is_abandoned`.
                "SELECT 1 AS held FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = :leases "
                "AND objid = :number AND objsubid = 2 AND pid = :backend "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                leases=_LEASES,
                number=int(worker, 16),
                backend=self._lease.backend,
            )
        )

    def is_abandoned(self, worker: str) -> bool:
        """See `Transaction.is_abandoned`. The lock of an abandoned worker is taken until the transaction ends."""
        try:
            number = int(worker, 16)
        except ValueError:
            return True
        [row] = self.rows("SELECT pg_try_advisory_xact_lock(:leases, :number) AS ok", leases=_LEASES, number=number)
        return bool(row["ok"])


def _check_durability(connection: Connection) -> None:
    """Refuse a server that may lose what it has confirmed, or keep the locks of workers that have died.

    Raises:
        LedgerUnavailableError: `fsync` or `synchronous_commit` is off, or the settings of the session have no effect.
    """
    for name in ("fsync", "synchronous_commit"):
        row = connection.execute("SELECT current_setting(%s) AS value", (name,)).fetchone()
        if row is not None and row["value"] == "off":
            raise LedgerUnavailableError(
                f"The PostgreSQL server runs with {name} = off, so a crash could lose calls; switch it on"
            )
    row = connection.execute("SELECT current_setting('statement_timeout') AS value").fetchone()
    if row is None or row["value"] == "0":
        raise LedgerUnavailableError(
            "The settings of the session have no effect, as behind PgBouncer with pool_mode = transaction, where a "
            "worker's lock outlives it; KALLYAI_DATABASE_URL must name the PostgreSQL server itself"
        )


@lru_cache(maxsize=256)
def _translated(statement: str) -> bytes:
    """A statement with psycopg's parameters, `%(name)s`, in place of `:name`."""
    return _PARAMETER.sub(r"%(\1)s", statement).encode()


def _check_ports(conninfo: str) -> None:
    """Raise `ValueError` for an impossible port, which the library would find only when it connects."""
    for port in str(conninfo_to_dict(conninfo).get("port") or "").split(","):
        if port and int(port) not in _PORTS:
            raise ValueError(port)
