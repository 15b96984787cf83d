"""One SQLite file, used from threads, and by many processes at once."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from kallyai_mcp.calls.ledger.base import LedgerUnavailableError

_Result = TypeVar("_Result")

_PATIENCE = 10.0
"""Seconds to wait for another process's transaction; each takes milliseconds."""


class SqliteFile:
    """A database that only its owner can read (mode 0600 where there are POSIX permissions).

    The file is made when something is first written; until then there is nothing to be read. `synchronous=FULL`: what
    was written survives a loss of power. Whatever goes wrong with it is a `LedgerUnavailableError`.

    Args:
        path: The file; its folder is made with it.
        schema: Statements that make the tables where they are not there yet, with a `;` between them.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        self._schema = schema
        self._one_thread = anyio.Lock()
        self._connection: sqlite3.Connection | None = None

    async def aclose(self) -> None:
        """Close it, if it is open."""
        async with self._one_thread:
            if self._connection is not None:
                await anyio.to_thread.run_sync(self._connection.close)
                self._connection = None

    async def read(self, question: str, values: tuple[Any, ...] | dict[str, Any]) -> list[sqlite3.Row]:
        """The rows that a SELECT finds."""

        def work() -> list[sqlite3.Row]:
            if self._connection is None and not self._path.exists():
                return []
            return self._opened().execute(question, values).fetchall()

        return await self._in_thread(work)

    async def change(self, statement: str, values: tuple[Any, ...]) -> bool:
        """Do one statement, in a transaction of its own; tells whether a row was changed."""
        return await self.write(lambda db: db.execute(statement, values).rowcount > 0)

    async def write(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Do `work` in one transaction, which holds off all other writers from its beginning."""

        def transaction() -> _Result:
            with _transaction(self._opened()) as db:
                return work(db)

        return await self._in_thread(transaction)

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        # Shielded: a thread can't be cancelled, and half a transaction must not be taken for none.
        with anyio.CancelScope(shield=True):
            async with self._one_thread:
                try:
                    result = await anyio.to_thread.run_sync(work)
                except (sqlite3.Error, OSError) as error:
                    raise LedgerUnavailableError(f"The ledger {self._path} can't be used: {error}") from error
        return result

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _open(self._path, self._schema)
        return self._connection


def _open(path: Path, schema: str) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite gives its companion files the mode of the database, so that mode is set before SQLite sees it.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    if os.name == "posix":
        path.chmod(0o600)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_PATIENCE)
    try:
        connection.row_factory = sqlite3.Row
        _patiently(partial(connection.execute, "PRAGMA journal_mode = WAL"))
        connection.execute("PRAGMA synchronous = FULL")
        with _transaction(connection):
            for statement in schema.split(";"):
                connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


def _patiently(work: Callable[[], object]) -> None:
    """Do `work` again while another process opens the file: SQLite's own patience does not cover that moment."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            work()
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
