"""The PostgreSQL driver: one database, shared by the workers of many machines (extra
`postgres`).
"""

import logging
import re
import secrets
import selectors
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from math import inf
from typing import Any, Self

import anyio.to_thread
import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo
from psycopg.errors import (
    DataError,
    IntegrityError,
    NotSupportedError,
    PipelineAborted,
    ProgrammingError,
)
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from kallyai_mcp.calls.errors import ConstraintError, LedgerUnavailableError
from kallyai_mcp.calls.ledger.base import Result, StatementError, Tx
from kallyai_mcp.calls.ledger.postgres_safety import check_safety
from kallyai_mcp.calls.ledger.schema import NEEDED, check, migrate
from kallyai_mcp.calls.records import AccountKey

_log = logging.getLogger(__name__)
# It quotes the server's messages, which may hold the URL with its password. What matters is logged
# here.
logging.getLogger("psycopg").setLevel(logging.CRITICAL)

_SECONDS = 8.0
"""The longest time for a transaction, with the wait for a connection.

After it, the database counts as unavailable.
"""

_CHECK_SECONDS = 5.0
"""The longest time for the check of a new connection."""

_CONNECTIONS = 8
"""The most connections of one process, besides the one that holds its lease."""

_LEASES = 0x6B61_6C79
_MIGRATION = 0x6B61_6C7A
_ACCOUNTS = 0x6B61_6C7B
"""The first halves of the keys of advisory locks.

The second half of a lease's key is the worker's number.
"""

_LOCK = "SELECT pg_advisory_xact_lock(%s, %s)"

_NOW_AND_LOCKS = """
SELECT EXTRACT(EPOCH FROM clock_timestamp())::float8 AS now, ARRAY(
    SELECT objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND classid = %(kind)s AND pid = pg_backend_pid() AND granted
) AS locks, ({needed}) AS needed
"""
"""Selects the time, the accounts whose locks this transaction holds, and the version that a program
must know.
"""

_BEFORE_MIGRATION = _NOW_AND_LOCKS.format(needed="0").encode()
_AFTER_MIGRATION = _NOW_AND_LOCKS.format(needed=NEEDED).encode()

_OPTIONS: dict[str, str | int] = {
    "application_name": "kallyai-mcp",
    "client_encoding": "utf8",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # On the server's side too, so that the lease of a machine without power ends within half a
    # minute. And each statement must see what was written before it got its lock, whatever the
    # default of the database is.
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 "
    "-c statement_timeout=5000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=30000 "
    r"-c idle_session_timeout=0 -c default_transaction_isolation=read\ committed",
}

_OWN = (ProgrammingError, DataError, IntegrityError, NotSupportedError, PipelineAborted)
_OF_THE_SERVER = (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidSchemaName)
"""Those of the errors above that the operator of the database can repair."""

_CONNECTED: dict[str, Any] = {"row_factory": dict_row, "autocommit": True}


class _Connection(psycopg.Connection[DictRow]):
    """A connection that waits for its server until a time by `time.monotonic`, also if the server
    is silent.

    The one that holds the lease of a `worker` is used for nothing else.
    """

    until = inf
    worker = ""

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        """A new connection to a safe server; raises `OSError` if the server could lose calls.

        The operator may change the server's settings while this program runs, so each one asks.
        """
        connection = super().connect(conninfo, **kwargs)
        connection.until = time.monotonic() + _CHECK_SECONDS
        try:
            check_safety(connection)
        except BaseException:
            connection.close()
            raise
        connection.until = inf
        return connection

    def wait(self, gen: PQGen[Result], *_: Any, **__: Any) -> Result:
        """Run a part of a statement, as psycopg does; raises `psycopg.OperationalError` when the
        time is over.
        """
        left = self.until - time.monotonic()
        if left <= 0:  # then `gen`, which ends a pipeline after an error, must not even begin
            raise psycopg.OperationalError("the server does not answer")
        return super().wait(gen, timeout=left)


class PostgresDatabase:
    """A PostgreSQL database with a ledger; see `Database`.

    It uses TLS if the URL says so (`sslmode`). A transaction runs in a thread for at most
    `seconds`, also if the server does not answer. A worker's lease is a session advisory lock on
    its own connection: the server releases it when the connection ends.

    The user in `url` must be allowed to create tables. A URL that can't be used is a `ValueError`,
    which does not quote it. `now` is a clock in place of the server's, for tests.
    """

    system = "postgresql"

    def __init__(
        self, url: str, *, now: Callable[[], datetime] | None = None, seconds: float = _SECONDS
    ) -> None:
        try:
            self._conninfo = make_conninfo(url, **_OPTIONS)
        except (psycopg.Error, ValueError):
            raise ValueError(
                "not a URL of PostgreSQL, such as postgresql://user:password@host:5432/name"
            ) from None
        self._clock = now
        self._seconds = seconds
        self._pool = ConnectionPool(
            self._conninfo,
            connection_class=_Connection,
            kwargs=_CONNECTED,
            min_size=0,
            max_size=_CONNECTIONS,
            reconnect_timeout=0,
            open=True,
        )
        self._threads = anyio.CapacityLimiter(_CONNECTIONS)
        self._lease: _Connection | None = None
        self._is_prepared = False

    async def read(self, work: Callable[[Tx], Result]) -> Result:
        """See `Database.read`."""
        return await self.write(work)

    async def write(
        self,
        work: Callable[[Tx], Result],
        account: AccountKey | None = None,
        *,
        is_durable: bool = True,
    ) -> Result:
        """See `Database.write`."""

        def noted(tx: Tx) -> Result:
            tx.run("SET LOCAL synchronous_commit = off")
            return work(tx)

        def run(until: float) -> Result:
            if not self._is_prepared:
                self._transaction(until, None, _prepare)
                self._is_prepared = True
            return self._transaction(until, account, work if is_durable else noted)

        return await self._in_thread(run)

    def version(self) -> object:
        """See `Database.version`. Only a query could tell."""
        return object()

    def has_lease(self) -> bool:
        """See `Database.has_lease`.

        A server that ends the connection with the lease sends a last message or closes the socket.
        """
        if self._lease is None or self._lease.closed:
            return False
        connection = self._lease.pgconn
        with selectors.DefaultSelector() as selector:
            try:
                selector.register(connection.socket, selectors.EVENT_READ)
                while selector.select(0):
                    connection.consume_input()
            except (psycopg.Error, OSError):
                return False
        return True

    async def take_lease(self) -> str:
        """See `Database.take_lease`."""

        def taking(until: float) -> _Connection:
            number = secrets.randbits(31)
            lease = _Connection.connect(self._conninfo, **_CONNECTED)
            lease.until = until
            lease.worker = f"{number:08x}"
            try:
                lease.execute("SELECT pg_advisory_lock(%s, %s)", (_LEASES, number))
            except BaseException:
                lease.close()
                raise
            return lease

        await self.write(lambda tx: tx.now)  # fails when this program is ending
        # Else one that comes too late would replace a later one.
        lease = await self._in_thread(taking)
        if self._lease is not None:
            self._lease.close()
        self._lease = lease
        return lease.worker

    async def aclose(self) -> None:
        """See `Database.aclose`."""
        self._pool.close(timeout=0)
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.until = time.monotonic() + self._seconds
            with suppress(LedgerUnavailableError):
                # Released at once, because the server notices only later that a connection was
                # closed.
                await self._in_thread(lambda _: lease.execute("SELECT pg_advisory_unlock_all()"))
            lease.close()

    async def _in_thread(self, work: Callable[[float], Result]) -> Result:
        """Run `work` in a thread, with the time by `time.monotonic` at which it must end."""
        until = time.monotonic() + self._seconds
        # Shielded, so that a canceled request does not hide whether the transaction was committed.
        # The wait is bounded, also where the thread waits for something else than an answer, such
        # as the address of the server.
        with anyio.CancelScope(shield=True), anyio.move_on_after(self._seconds):
            try:
                return await anyio.to_thread.run_sync(
                    work, until, abandon_on_cancel=True, limiter=self._threads
                )
            except (psycopg.Error, OSError) as error:
                known = _known(error)
                if not isinstance(known, ConstraintError):  # a rule, and no fault
                    _log.error("%s", known)
                # Psycopg's message may quote a whole row, or the URL with its password.
                raise known from None
        self._pool.drain()  # the idle connections lead to the same server
        silent = LedgerUnavailableError(
            f"The ledger's database did not answer within {self._seconds:g} s"
        )
        _log.error("%s", silent)
        raise silent

    def _transaction(
        self, until: float, account: AccountKey | None, work: Callable[[Tx], Result]
    ) -> Result:
        """Begin a transaction, lock `account`, and run `work`; a connection that the server has
        ended is replaced.

        A statement whose rows are not needed is sent together with the next one.
        """
        while True:
            connection = self._connected(until)
            is_begun = False
            try:
                with connection.pipeline():
                    connection.execute("BEGIN")
                    if account is not None:
                        connection.execute(_LOCK, _lock_of(account))
                    # After the lock of the account, for which the transaction may have waited.
                    beginning = _AFTER_MIGRATION if self._is_prepared else _BEFORE_MIGRATION
                    [row] = connection.execute(beginning, {"kind": _ACCOUNTS}).fetchall()
                    is_begun = True
                    check(row["needed"])
                    _check_lock(account, row["locks"])
                    now = self._clock().timestamp() if self._clock else row["now"]
                    result = work(_opened(connection, now, self._lease, account))
                    connection.execute("COMMIT")
            except psycopg.OperationalError:
                if is_begun or not connection.closed:
                    raise
            else:
                return result
            finally:
                # Rolls back what is open, and closes what waits for an answer.
                self._pool.putconn(connection)

    def _connected(self, until: float) -> _Connection:
        """A connection of the pool."""
        try:
            connection = self._pool.getconn(timeout=0.2)
        except PoolTimeout:
            # Fails at once where the pool would wait.
            _Connection.connect(self._conninfo, **_CONNECTED).close()
            connection = self._pool.getconn(until - time.monotonic())
        connection.until = until
        return connection


def _known(error: psycopg.Error | OSError) -> Exception:
    """The ledger's error for one of psycopg."""
    if isinstance(error, OSError):
        return LedgerUnavailableError(f"The ledger's database can't be used: {error}")
    index = error.diag.constraint_name or ""
    # An index, which is a rule.
    if isinstance(error, psycopg.errors.UniqueViolation) and not index.endswith("_pkey"):
        return ConstraintError(f"The ledger refused the call: {index}")
    if isinstance(error, _OWN) and not isinstance(error, _OF_THE_SERVER):
        return StatementError(
            f"The ledger's database refused a statement: {error.diag.message_primary or error}"
        )
    why = type(error).__name__ if error.sqlstate else "no connection"
    return LedgerUnavailableError(f"The ledger's database can't be used: {why}")


def _lock_of(account: AccountKey) -> tuple[int, int]:
    """The key of the advisory lock of an account.

    Two accounts may share one, which costs only time.
    """
    return _ACCOUNTS, zlib.crc32(f"{account.api} {account.account}".encode()) - 2**31


def _check_lock(account: AccountKey | None, held: list[int]) -> None:
    """Raise `StatementError` unless the transaction holds the lock of `account`, and no other
    account's.
    """
    # As the server shows it, unsigned.
    wanted = [] if account is None else [_lock_of(account)[1] % 2**32]
    if held != wanted:
        raise StatementError("A transaction does not hold the lock of its account")


def _opened(
    connection: _Connection, now: float, lease: _Connection | None, locked: AccountKey | None
) -> Tx:
    """An open transaction. The lock of an abandoned worker is taken until it ends."""

    def holds_lease(worker: str) -> bool:
        if lease is None or lease.worker != worker:
            return False
        # With `pid`, because another process holds the same lock for a moment in `is_abandoned`.
        held = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND pid = %s"
        return bool(connection.execute(held, (int(worker, 16), lease.info.backend_pid)).fetchall())

    def is_abandoned(worker: str) -> bool:
        taking = "SELECT 1 WHERE pg_try_advisory_xact_lock(%s, %s)"
        return bool(connection.execute(taking, (_LEASES, int(worker, 16))).fetchall())

    def execute(statement: str, values: dict[str, Any]) -> psycopg.Cursor[DictRow]:
        return connection.execute(_translated(statement), values)

    return Tx(execute, now, holds_lease, is_abandoned, locked)


def _prepare(transaction: Tx) -> None:
    """Migrate the schema."""
    transaction.rows("SELECT pg_advisory_xact_lock(:lock, 0)", lock=_MIGRATION)
    migrate(transaction)


@lru_cache(maxsize=256)
def _translated(statement: str) -> bytes:
    """A statement with psycopg's parameters, `%(name)s`, in place of `:name`."""
    return re.sub(r"(?<![:\w]):([a-z_][a-z0-9_]*)", r"%(\1)s", statement).encode()
