"""The sandbox's database: many processes can open a new file."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kallyai_mcp.sandbox.store import Store


def write(store: Store, name: str) -> None:
    with store.transaction() as db:
        db.execute("INSERT INTO auth_keys VALUES (?, x'00')", (name,))


def test_a_new_file_can_be_opened_many_times_at_once_and_keeps_what_was_committed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store.sqlite"
    with ThreadPoolExecutor(8) as pool:
        for at, store in enumerate(pool.map(lambda _: Store(path), range(24))):
            write(store, str(at))
            store.close()
    store = Store(path)
    with store.transaction() as db:
        assert len(db.execute("SELECT name FROM auth_keys").fetchall()) == 24
    store.close()
