"""The sandbox's database: its files are private, and many processes can open a new one."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kallyai_mcp.sandbox.store import Store


def write(store: Store, name: str) -> None:
    with store.transaction() as db:
        db.execute("INSERT INTO auth_keys VALUES (?, x'00')", (name,))


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
def test_the_file_and_new_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "home" / "data" / "sandbox.db"
    before = os.umask(0)
    try:
        store = Store(path)
        write(store, "a")
        files = (path.parent.parent, *path.parent.parent.rglob("*"))
        modes = {file.name: file.stat().st_mode & 0o777 for file in files}
        store.close()
    finally:
        os.umask(before)

    assert modes.pop("home") == modes.pop("data") == 0o700
    assert set(modes) >= {"sandbox.db", "sandbox.db-wal"}
    assert set(modes.values()) == {0o600}


def test_a_new_file_can_be_opened_many_times_at_once_and_keeps_what_was_committed(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with ThreadPoolExecutor(8) as pool:
        for at, store in enumerate(pool.map(lambda _: Store(path), range(24))):
            write(store, str(at))
            store.close()
    store = Store(path)
    with store.transaction() as db:
        assert len(db.execute("SELECT name FROM auth_keys").fetchall()) == 24
    store.close()
