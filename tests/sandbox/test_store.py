"""The sandbox's database: failed transactions, and many processes at once."""

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kallyai_mcp.sandbox.store import Store

KEY = "INSERT INTO auth_keys VALUES ('{}', x'00')"


def keys(store: Store) -> list[str]:
    with store.transaction() as db:
        return [row["name"] for row in db.execute("SELECT name FROM auth_keys ORDER BY name")]


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
        store = Store(path)
        try_to(store, KEY.format("a"))
        files = (path.parent.parent, *path.parent.parent.rglob("*"))
        modes = {file.name: file.stat().st_mode & 0o777 for file in files}
        store.close()
    finally:
        os.umask(before)

    assert modes.pop("home") == modes.pop("data") == 0o700
    assert set(modes) >= {"sandbox.db", "sandbox.db-wal"}
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize(
    "second", ["NONSENSE", KEY.format("a"), KEY.format("a").replace("INSERT", "INSERT OR ROLLBACK")]
)
def test_a_block_that_raises_is_rolled_back_and_the_next_one_works(path: Path, second: str) -> None:
    store = Store(path)
    with pytest.raises(sqlite3.Error):
        try_to(store, KEY.format("a"), second)
    assert keys(store) == []
    try_to(store, KEY.format("b"))
    assert keys(store) == ["b"]
    store.close()


def test_a_locked_file_is_waited_for(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(Store, path)
        with pytest.raises(TimeoutError):
            opening.result(timeout=0.1)
        other.execute("COMMIT")
        store = opening.result(timeout=10)
    assert keys(store) == []
    store.close()
    other.close()


def test_a_new_file_can_be_opened_many_times_at_once_and_keeps_what_was_committed(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for at, store in enumerate(pool.map(lambda _: Store(path), range(24))):
            try_to(store, KEY.format(at))
            store.close()
    store = Store(path)
    assert len(keys(store)) == 24
    store.close()
