"""The ledger in one SQLite file, shared by all processes of one user on one machine."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call
from kallyai_mcp.dialing.ledger import LedgerUnavailable
from kallyai_mcp.dialing.records import Record, Scope, State, end_document, from_document, to_document

_Result = TypeVar("_Result")

_PATIENCE = 10.0
"""Seconds to wait for another process's transaction; each takes milliseconds."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    tracking_id TEXT PRIMARY KEY,
    api TEXT NOT NULL,
    account TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    idempotency_key TEXT NOT NULL UNIQUE,
    submission TEXT NOT NULL,
    timezone TEXT NOT NULL,
    owner TEXT NOT NULL,
    state TEXT NOT NULL,
    placed_at REAL NOT NULL,
    sent_at REAL,
    lost_at REAL,
    ended_at REAL,
    call_id TEXT,
    outcome TEXT,
    error TEXT,
    handed_out INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX IF NOT EXISTS calls_by_call_id ON calls (api, account, call_id);
CREATE INDEX IF NOT EXISTS calls_by_fingerprint ON calls (api, account, fingerprint);
CREATE INDEX IF NOT EXISTS calls_unsettled ON calls (api, account, placed_at)
    WHERE state IN ('prepared', 'sent', 'unknown');
CREATE TABLE IF NOT EXISTS owners (owner TEXT PRIMARY KEY, beat_at REAL NOT NULL);
"""

_SAME = """
SELECT * FROM calls WHERE api = ? AND account = ? AND fingerprint = ? AND (
    state IN ('prepared', 'sent', 'unknown')
    OR state = 'ended' AND (handed_out = 0 OR (json_extract(outcome, '$.status') = 'success' AND ended_at > ?))
) ORDER BY placed_at DESC LIMIT 1
"""

_ORPHANS = """
SELECT * FROM calls LEFT JOIN owners USING (owner)
WHERE state IN ('prepared', 'sent') AND owner != ? AND coalesce(beat_at, 0) <= ?
"""


class SqliteLedger:
    """A ledger in a file that only its owner can read (mode 0600 where there are POSIX permissions).

    The file is made when something is first written; until then every answer is "nothing there". `synchronous=FULL`:
    what a method has written survives a loss of power.

    Args:
        path: The file; its folder is made with it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._one_thread = anyio.Lock()
        self._connection: sqlite3.Connection | None = None

    async def enter(self, record: Record, *, redial: bool, recent: timedelta) -> tuple[Record, bool]:
        """See `Ledger.enter`."""

        def work(db: sqlite3.Connection) -> tuple[Record, bool]:
            if not redial:
                since = (record.placed_at - recent).timestamp()
                scope = record.scope
                row = db.execute(_SAME, (scope.api, scope.account, record.fingerprint, since)).fetchone()
                if row is not None:
                    return from_document(dict(row)), False
            values = to_document(record)
            names, marks = ", ".join(values), ", ".join("?" * len(values))
            db.execute(f"INSERT INTO calls ({names}) VALUES ({marks})", tuple(values.values()))  # noqa: S608 - our names
            _beat(db, record.owner, record.placed_at)
            return record, True

        return await self._write(work)

    async def find(self, scope: Scope, id_: str) -> Record | None:
        """See `Ledger.find`."""
        if not id_.isprintable():  # half a surrogate pair is no text to SQLite, and no id has one
            return None
        rows = await self._read(
            "SELECT * FROM calls WHERE api = ? AND account = ? AND (tracking_id = ? OR call_id = ?)",
            (scope.api, scope.account, id_, id_),
        )
        return from_document(dict(rows[0])) if rows else None

    async def unsettled(self, scope: Scope) -> list[Record]:
        """See `Ledger.unsettled`."""
        rows = await self._read(
            "SELECT * FROM calls WHERE api = ? AND account = ? AND state IN ('prepared', 'sent', 'unknown') "
            "ORDER BY placed_at DESC",
            (scope.api, scope.account),
        )
        return [from_document(dict(row)) for row in rows]

    async def send(self, tracking_id: str, owner: str, now: datetime) -> bool:
        """See `Ledger.send`."""
        return await self._change(
            "UPDATE calls SET state = 'sent', sent_at = coalesce(sent_at, ?) "
            "WHERE tracking_id = ? AND owner = ? AND state IN ('prepared', 'sent')",
            (now.timestamp(), tracking_id, owner),
        )

    async def lose(self, tracking_id: str, now: datetime) -> None:
        """See `Ledger.lose`."""
        await self._change(
            "UPDATE calls SET lost_at = coalesce(lost_at, ?) WHERE tracking_id = ?", (now.timestamp(), tracking_id)
        )

    async def claim(self, tracking_id: str, call_id: str, *, sure: bool) -> bool:
        """See `Ledger.claim`."""

        def work(db: sqlite3.Connection) -> bool:
            if sure:
                db.execute(
                    "UPDATE calls SET call_id = NULL, outcome = NULL, error = NULL, ended_at = NULL, handed_out = 0, "
                    "state = 'sent', owner = '' "
                    "WHERE call_id = ? AND tracking_id != ? AND lost_at IS NOT NULL "
                    "AND (api, account) = (SELECT api, account FROM calls WHERE tracking_id = ?)",
                    (call_id, tracking_id, tracking_id),
                )
            try:
                db.execute("UPDATE calls SET call_id = ? WHERE tracking_id = ?", (call_id, tracking_id))
            except sqlite3.IntegrityError:
                return False
            return True

        return await self._write(work)

    async def end(
        self,
        tracking_id: str,
        state: State,
        now: datetime,
        *,
        call: Call | None = None,
        error: KallyAIError | None = None,
    ) -> None:
        """See `Ledger.end`."""
        ending = end_document(call, error)
        await self._change(
            "UPDATE calls SET state = ?, ended_at = ?, outcome = ?, error = ? "
            "WHERE tracking_id = ? AND state IN ('prepared', 'sent', 'unknown')",
            (state, now.timestamp(), ending["outcome"], ending["error"], tracking_id),
        )

    async def hand_out(self, tracking_id: str) -> None:
        """See `Ledger.hand_out`."""
        await self._change(
            "UPDATE calls SET handed_out = 1 WHERE tracking_id = ? AND state IN ('ended', 'refused')",
            (tracking_id,),
        )

    async def take_back(self, tracking_id: str) -> None:
        """See `Ledger.take_back`."""
        await self._change("UPDATE calls SET handed_out = 0 WHERE tracking_id = ?", (tracking_id,))

    async def beat(self, owner: str, now: datetime) -> None:
        """See `Ledger.beat`."""
        await self._write(lambda db: _beat(db, owner, now))

    async def leave(self, owner: str) -> None:
        """See `Ledger.leave`."""
        await self._change("DELETE FROM owners WHERE owner = ?", (owner,))

    async def has_orphans(self, owner: str, now: datetime, silence: timedelta) -> bool:
        """See `Ledger.has_orphans`."""
        return bool(await self._read(f"{_ORPHANS} LIMIT 1", (owner, (now - silence).timestamp())))

    async def adopt(self, scope: Scope, owner: str, now: datetime, silence: timedelta) -> list[Record]:
        """See `Ledger.adopt`."""
        question = (owner, (now - silence).timestamp(), scope.api, scope.account)

        def work(db: sqlite3.Connection) -> list[Record]:
            _beat(db, owner, now)
            orphans = db.execute(f"{_ORPHANS} AND api = ? AND account = ?", question).fetchall()
            for row in orphans:
                db.execute("UPDATE calls SET owner = ? WHERE tracking_id = ?", (owner, row["tracking_id"]))
            return [from_document(dict(row) | {"owner": owner}) for row in orphans]

        return await self._write(work)

    async def forget(self, before: datetime) -> None:
        """See `Ledger.forget`."""
        moment = before.timestamp()
        if await self._read("SELECT 1 FROM calls WHERE placed_at < ? LIMIT 1", (moment,)):
            await self._change("DELETE FROM calls WHERE placed_at < ?", (moment,))
        if await self._read("SELECT 1 FROM owners WHERE beat_at < ? LIMIT 1", (moment,)):
            await self._change("DELETE FROM owners WHERE beat_at < ?", (moment,))

    async def aclose(self) -> None:
        """See `Ledger.aclose`."""
        async with self._one_thread:
            if self._connection is not None:
                await anyio.to_thread.run_sync(self._connection.close)
                self._connection = None

    async def _read(self, question: str, values: tuple[Any, ...]) -> list[sqlite3.Row]:
        def work() -> list[sqlite3.Row]:
            if self._connection is None and not self._path.exists():
                return []
            return self._opened().execute(question, values).fetchall()

        return await self._in_thread(work)

    async def _change(self, statement: str, values: tuple[Any, ...]) -> bool:
        """Whether a row was changed."""
        return await self._write(lambda db: db.execute(statement, values).rowcount > 0)

    async def _write(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
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
                    raise LedgerUnavailable(f"The ledger {self._path} can't be used: {error}") from error
        return result

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _open(self._path)
        return self._connection


def _open(path: Path) -> sqlite3.Connection:
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
            for statement in _SCHEMA.split(";"):
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


def _beat(db: sqlite3.Connection, owner: str, now: datetime) -> None:
    db.execute(
        "INSERT INTO owners VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET beat_at = excluded.beat_at",
        (owner, now.timestamp()),
    )
