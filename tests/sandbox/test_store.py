"""The sandbox's database: failed transactions, and many processes at once."""

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kallyai_mcp.sandbox.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS parents (id INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS children (parent INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
"""

CHECKED = f"COMMIT; PRAGMA foreign_keys = ON; BEGIN IMMEDIATE; {SCHEMA}"
"""The same schema with foreign keys enforced, which SQLite can enable between transactions only."""


def parents(store: Store) -> list[int]:
    with store.transaction() as db:
        return [row["id"] for row in db.execute("SELECT id FROM parents ORDER BY id")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def try_to(store: Store, *statements: str) -> None:
    with store.transaction() as db:
        for statement in statements:
            db.execute(statement)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
def test_the_file_and_new_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "home" / "data" / "sandbox.db"
    before = os.umask(0)
    try:
        store = Store(path, SCHEMA)
        with store.transaction() as db:
            db.execute("INSERT INTO parents VALUES (1)")
        files = (path.parent.parent, *path.parent.parent.rglob("*"))
        modes = {file.name: file.stat().st_mode & 0o777 for file in files}
        store.close()
    finally:
        os.umask(before)

    assert modes.pop("home") == modes.pop("data") == 0o700
    assert set(modes) >= {"sandbox.db", "sandbox.db-wal"}
    assert set(modes.values()) == {0o600}


def test_a_block_that_raises_is_rolled_back(path: Path) -> None:
    store = Store(path, SCHEMA)
    with pytest.raises(sqlite3.OperationalError):
        try_to(store, "INSERT INTO parents VALUES (1)", "NONSENSE")
    assert parents(store) == []
    store.close()


def test_a_failed_commit_rolls_back_and_the_next_transaction_works(path: Path) -> None:
    store = Store(path, CHECKED)
    try_to(store, "INSERT INTO parents VALUES (1)")
    with pytest.raises(sqlite3.IntegrityError):
        try_to(store, "INSERT INTO parents VALUES (2)", "INSERT INTO children VALUES (99)")
    assert parents(store) == [1]
    store.close()


def test_after_a_rollback_by_sqlite_the_next_transaction_works(path: Path) -> None:
    store = Store(path, SCHEMA)
    with pytest.raises(sqlite3.IntegrityError):
        try_to(store, "INSERT INTO parents VALUES (1)", "INSERT OR ROLLBACK INTO parents VALUES (1)")
    assert parents(store) == []
    store.close()


def test_a_locked_file_is_waited_for(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(Store, path, SCHEMA)
        with pytest.raises(TimeoutError):
            opening.result(timeout=0.1)
        other.execute("COMMIT")
        store = opening.result(timeout=10)
    assert parents(store) == []
    store.close()
    other.close()


def test_committed_rows_are_there_when_the_file_is_opened_again(path: Path) -> None:
    first = Store(path, SCHEMA)
    with first.transaction() as db:
        db.execute("INSERT INTO parents VALUES (7)")
    second = Store(path, SCHEMA)
    assert parents(second) == [7]
    first.close()
    second.close()


def test_a_new_file_can_be_opened_many_times_at_once(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for store in pool.map(lambda _: Store(path, SCHEMA), range(24)):
            store.close()
    store = Store(path, SCHEMA)
    assert parents(store) == []
    store.close()


def test_after_a_failed_schema_the_file_is_usable(path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        Store(path, SCHEMA, "CREATE NONSENSE;")
    store = Store(path, SCHEMA)
    assert parents(store) == []
    store.close()
