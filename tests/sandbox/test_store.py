"""The sandbox's database: many processes can open a new file."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.store import Store

OLDER = """
CREATE TABLE calls (
    call_id TEXT PRIMARY KEY, account_id TEXT NOT NULL, idempotency_key TEXT,
    fingerprint TEXT NOT NULL, started_at INTEGER NOT NULL, ends_at INTEGER NOT NULL,
    status TEXT NOT NULL, highlights TEXT, next_steps TEXT, duration_seconds REAL NOT NULL,
    tenths INTEGER NOT NULL, transcript TEXT, calendar TEXT, submission TEXT NOT NULL,
    UNIQUE (account_id, idempotency_key)
);
INSERT INTO calls VALUES ('c-1', 'acct', NULL, 'f', 0, 9, 'success', 'A table', 'Go', 9.5, 1,
    NULL, NULL, '{}');
"""


def write(store: Store, name: str) -> None:
    with store.transaction() as db:
        db.execute("INSERT INTO auth_keys VALUES (?, x'00')", (name,))


def test_a_new_store_opens_many_times_at_once(
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


def test_an_older_versions_file_keeps_its_calls(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with closing(sqlite3.connect(path)) as older:
        older.executescript(OLDER)
    store = Store(path)
    with store.transaction() as db:
        (call,) = call_table.all_calls(db)
    store.close()

    assert (call.call_id, call.report.highlights, call.report.duration_seconds) == (
        "c-1",
        "A table",
        9.5,
    )
