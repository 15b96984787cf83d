"""Copies a ledger from its file into an empty PostgreSQL database, in one transaction."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from kallyai_mcp.calls.errors import NotCopiedError
from kallyai_mcp.calls.ledger.base import Row, Tx
from kallyai_mcp.calls.ledger.postgres import PostgresDatabase
from kallyai_mcp.calls.ledger.sqlite import SqliteDatabase
from kallyai_mcp.calls.records import ACTIVE

_SECONDS = 3600.0
"""How long copying may take."""

_TABLES = ("calls", "call_words", "call_lists", "call_list_calls", "opt_outs", "audit", "accounts")
_ALL = (*_TABLES, "shared_values")
_PAGE = 200

_NO_WORKER = "00000000"
"""The worker of the calls that were in progress: no process has its lease, so they are taken over.
The names of workers differ between the two databases."""


async def copy_file(path: Path, url: str) -> dict[str, int]:
    """Copy the ledger in a file into the database at a URL; returns how many rows, by table.

    The file is renamed then, so that no process places its scheduled calls, too.

    Raises:
        NotCopiedError: There is no file, a process uses it, or the database has calls already.
        LedgerUnavailableError: One of both can't be used.
    """
    _check_there(path)
    source = SqliteDatabase(path)
    try:
        await source.write(lambda tx: _check_unused(tx, path))  # also brings it to this version
    finally:
        await source.aclose()
    target = PostgresDatabase(url, seconds=_SECONDS)
    try:
        counts = await target.write(lambda tx: _copy(path, tx))
    finally:
        await target.aclose()
    _set_aside(path)
    return counts


def _check_there(path: Path) -> None:
    if not path.exists():
        raise NotCopiedError(f"There is no {path}")


def _set_aside(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}.copied"))


def _check_unused(tx: Tx, path: Path) -> None:
    for lease in path.with_name(f"{path.name}.workers").glob("*.lock"):
        if not tx.is_abandoned(lease.stem):
            raise NotCopiedError(f"A process uses {path}: stop all servers first")


def _copy(path: Path, target: Tx) -> dict[str, int]:
    _check_empty(target)
    with closing(sqlite3.connect(path)) as source:
        source.row_factory = lambda cursor, values: dict(sqlite3.Row(cursor, values))
        source.execute("BEGIN IMMEDIATE")  # nobody writes meanwhile
        return {table: _copy_table(source, target, table) for table in _ALL}


def _check_empty(target: Tx) -> None:
    for table in _TABLES:
        if target.rows(f"SELECT 1 FROM {table} LIMIT 1"):
            raise NotCopiedError("The database of KALLYAI_DATABASE_URL has calls already")


def _copy_table(source: sqlite3.Connection, target: Tx, table: str) -> int:
    count = 0
    for page in _pages(source, table):
        _insert(target, table, page)
        count += len(page)
    return count


def _pages(source: sqlite3.Connection, table: str) -> Iterator[list[Row]]:
    cursor = source.execute(f"SELECT * FROM {table}")
    while page := cursor.fetchmany(_PAGE):
        yield page


def _insert(target: Tx, table: str, page: Sequence[Row]) -> None:
    columns = list(page[0])
    values: Row = {}
    places = []
    for number, row in enumerate(page):
        kept = _as_kept(table, row)
        values |= {f"{name}_{number}": kept[name] for name in columns}
        places.append("(" + ", ".join(f":{name}_{number}" for name in columns) + ")")
    # A server may have noted its address in the database.
    unless = " ON CONFLICT DO NOTHING" if table == "shared_values" else ""
    inserting = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join(places)}{unless}"
    target.run(inserting, **values)
    target.rows("SELECT 1")  # waits until it is done


def _as_kept(table: str, row: Row) -> Row:
    if table == "calls" and row["state"] in ACTIVE:
        return row | {"worker": _NO_WORKER}
    return row
