"""A pool of connections to PostgreSQL for use in threads, which ends every wait for a server that does not answer."""

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, LifoQueue
from typing import Any

import anyio
import anyio.to_thread
import psycopg
from psycopg.rows import dict_row

from kallyai_mcp.calls.ledger.base import ConstraintError, LedgerUnavailableError, Result, Row, StatementError

_log = logging.getLogger(__name__)

Connection = psycopg.Connection[Row]

_OWN_ERRORS = (psycopg.ProgrammingError, psycopg.DataError, psycopg.IntegrityError)
_OF_THE_SERVER = (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidSchemaName)
"""Those of the errors above that the operator of the database can repair."""


class Use:
    """One use of the database in a thread. It can be given up while the thread waits for the server."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._is_given_up = False

    def take(self, connection: Connection) -> Connection:
        """Note the connection that the thread is about to use; returns it.

        Raises:
            psycopg.OperationalError: The use was given up, and the connection is closed: its caller has been told that
                it failed.
        """
        self._connection = connection
        if self._is_given_up:
            connection.close()
            raise psycopg.OperationalError("given up")
        return connection

    def give_up(self) -> None:
        """Shut the connection down, so that the thread ends."""
        self._is_given_up = True
        if self._connection is not None:
            _shut_down(self._connection)


class PostgresPool:
    """A pool of connections that are opened when they are first needed.

    Args:
        conninfo: The connection string.
        size: The most connections at the same time; further uses wait for one.
        seconds: The longest time for a use, with all waits.

    Attributes:
        is_closed: Whether `aclose` was called.
    """

    def __init__(self, conninfo: str, *, size: int, seconds: float) -> None:
        self._conninfo = conninfo
        self._seconds = seconds
        self._idle: LifoQueue[Connection] = LifoQueue()
        self._threads = anyio.CapacityLimiter(size)
        self.is_closed = False

    async def run(self, work: Callable[[Use], Result]) -> Result:
        """Do `work` in a thread.

        Raises:
            ConstraintError: A unique index refused it.
            StatementError: The database refused a statement.
            LedgerUnavailableError: The database can't be used, or did not answer in time.
        """
        use = Use()
        # Shielded, so that a canceled request does not hide whether the transaction was committed. The wait is bounded.
        with anyio.CancelScope(shield=True), anyio.move_on_after(self._seconds):
            try:
                return await anyio.to_thread.run_sync(work, use, abandon_on_cancel=True, limiter=self._threads)
            except LedgerUnavailableError as error:
                _log.error("%s", error)
                raise
            except psycopg.errors.UniqueViolation as error:
                raise ConstraintError(error.diag.constraint_name or type(error).__name__) from error
            except (psycopg.Error, OSError) as error:
                if isinstance(error, _OWN_ERRORS) and not isinstance(error, _OF_THE_SERVER):
                    why = error.diag.message_primary or str(error)  # the rest of the message may quote a whole row
                    _log.error("the ledger's database refused a statement: %s", why)
                    raise StatementError(why) from None
                # The driver's message may quote the URL with its password.
                why = type(error).__name__
                _log.warning("the ledger's database can't be used: %s", why)
                raise LedgerUnavailableError(f"The ledger's database can't be used ({why})") from None
        use.give_up()
        for connection in self._take_idle():  # they are connected to the same server
            connection.close()
        raise LedgerUnavailableError(f"The ledger's database did not answer within {self._seconds:g} s")

    @contextmanager
    def transaction(self, use: Use) -> Iterator[Connection]:
        """A context with a connection for work in `run`. At its end, the transaction is committed or rolled back."""
        connection = self._living(use) or self.connect(use)
        try:
            yield connection
            use.take(connection)
            connection.commit()
        except BaseException:
            with suppress(psycopg.Error):
                connection.rollback()
            raise
        finally:
            if connection.closed or self.is_closed:
                connection.close()
            else:
                self._idle.put(connection)

    def connect(self, use: Use, **options: Any) -> Connection:
        """A new connection for work in `run`, which the pool does not keep."""
        return use.take(psycopg.connect(self._conninfo, row_factory=dict_row, **options))

    async def aclose(self) -> None:
        """Close all connections: those in use when their use ends."""
        self.is_closed = True
        for connection in self._take_idle():
            connection.close()

    def _living(self, use: Use) -> Connection | None:
        """An idle connection that still works; None when there is none."""
        for idle in self._take_idle():
            connection = use.take(idle)
            try:
                connection.execute("")
                connection.rollback()
            except psycopg.Error:
                connection.close()
                use.take(connection)
            else:
                return connection
        return None

    def _take_idle(self) -> Iterator[Connection]:
        """Take the idle connections out of the pool, one after another."""
        with suppress(Empty):
            while True:
                yield self._idle.get_nowait()


def _shut_down(connection: Connection) -> None:
    """Shut down the socket of a connection, so that a thread that waits for the server ends."""
    with suppress(OSError, psycopg.Error, ValueError), socket.socket(fileno=socket.dup(connection.fileno())) as copy:
        copy.shutdown(socket.SHUT_RDWR)
