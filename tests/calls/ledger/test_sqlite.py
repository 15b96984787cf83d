"""The ledger's file: who can read it, and what becomes of calls when it is gone, locked, full,
read-only, or newer.
"""

import errno
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from kallyai_mcp.calls.errors import LedgerUnavailableError
from kallyai_mcp.calls.events import Checked, Over, Requested
from kallyai_mcp.calls.ledger import rows
from kallyai_mcp.calls.ledger.base import Ledger
from kallyai_mcp.calls.ledger.sqlite import SqliteDatabase
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.calls.timing import Timing
from tests.calls.ledgers import (
    ACCOUNT,
    another,
    asked,
    ended,
    is_placed,
    opened,
    outcome,
    reserved,
    sent,
    state_of,
)
from tests.calls.manual_time import ManualClock
from tests.calls.world import PLACED, TABLE, Service, after, world

if os.name == "posix":
    import fcntl
    import resource

pytestmark = pytest.mark.skipif(
    os.name != "posix", reason="POSIX permissions, limits, and open files that are deleted"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "ledger.db"


@pytest.fixture
async def ledger(path: Path, clock: ManualClock) -> AsyncIterator[Ledger]:
    async with opened(path, clock.now) as ledger:
        yield ledger


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """Another program that uses the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


async def test_only_its_owner_can_read_the_ledger(tmp_path: Path, clock: ManualClock) -> None:
    before = os.umask(0)
    try:
        async with opened(tmp_path / "new" / "home" / "ledger.db", clock.now) as ledger:
            await sent(ledger, asked())
            paths = [tmp_path / "new", *(tmp_path / "new").rglob("*")]
            modes = {path.suffix: stat.S_IMODE(path.stat().st_mode) for path in paths}
    finally:
        os.umask(before)

    assert modes == {
        "": 0o700,
        ".workers": 0o700,
        ".lock": 0o600,
        ".db": 0o600,
        ".db-wal": 0o600,
        ".db-shm": 0o600,
    }


def deleted(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        with suppress(FileNotFoundError):
            path.with_name(name).unlink()


def replaced(path: Path) -> None:
    deleted(path)
    with connected(path) as other:
        other.execute("CREATE TABLE another_program (x)")


@pytest.mark.parametrize("gone", [deleted, replaced])
async def test_a_call_outlives_its_deleted_ledger(
    path: Path, clock: ManualClock, gone: Callable[[Path], None]
) -> None:
    service = Service(clock, [after(lambda: gone(path), PLACED)])
    async with world(service, str(path)) as here:
        first = await here.call()
        await here.tell(first)
        again = await here.place()
        await here.outcome(again)

    assert first.call is not None
    assert first.call.highlights == "Booked"
    assert again.is_new
    assert service.keys == [first.idempotency_key] * 2  # the service recognizes the call by it


async def test_a_write_into_a_deleted_ledger_fails(path: Path) -> None:
    database = SqliteDatabase(path)
    await database.write(lambda _: None)

    with pytest.raises(LedgerUnavailableError, match="deleted or replaced"):
        await database.write(lambda _: path.unlink())
    await database.write(lambda _: None)
    await database.aclose()


async def test_on_a_full_disk_nothing_is_reserved(ledger: Ledger, path: Path) -> None:
    await reserved(ledger, another(1))
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    written = path.with_name("ledger.db-wal").stat().st_size  # no file may become longer
    resource.setrlimit(resource.RLIMIT_FSIZE, (written, most[1]))
    try:
        with pytest.raises(LedgerUnavailableError, match="can't be used"):
            await ledger.handle(ACCOUNT, Requested(Checked(another(2), redial=False)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)

    assert await is_placed(ledger, another(2))


@contextmanager
def locked_by_another_program(path: Path) -> Iterator[None]:
    with connected(path) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
async def impatient(ledger: Ledger, path: Path, clock: ManualClock) -> AsyncIterator[Ledger]:
    """Another process, which has opened the ledger with `t-1`, and waits for a lock for 0.2 s."""
    record = await reserved(ledger, another(1))
    async with aclosing(SqliteDatabase(path, now=clock.now, seconds=0.2)) as database:
        impatient = Ledger(database, policy=CallPolicy(), timing=Timing())
        await state_of(impatient, record)
        yield impatient


async def why_not_written(ledger: Ledger, number: int) -> str:
    with pytest.raises(LedgerUnavailableError) as raised:
        await ledger.handle(ACCOUNT, Requested(Checked(another(number), redial=False)))
    return str(raised.value)


async def test_a_locked_ledger_is_still_read(impatient: Ledger, path: Path) -> None:
    with locked_by_another_program(path):
        assert await state_of(impatient, another(1)) is CallState.RESERVED


async def test_each_write_to_a_locked_ledger_fails(impatient: Ledger, path: Path) -> None:
    errors: list[str] = []

    async def write(number: int) -> None:
        errors.append(await why_not_written(impatient, number))

    with locked_by_another_program(path):
        async with anyio.create_task_group() as tasks:
            for number in range(2, 12):
                tasks.start_soon(write, number)

    assert len(errors) == 10
    assert any("database is locked" in error for error in errors)


async def test_a_ledger_is_used_after_a_lock(impatient: Ledger, path: Path) -> None:
    with locked_by_another_program(path):
        await why_not_written(impatient, 2)

    assert await is_placed(impatient, another(2))


async def test_a_busy_ledger_is_closed(path: Path, clock: ManualClock) -> None:
    database = SqliteDatabase(path, now=clock.now, seconds=0)
    ledger = Ledger(database, policy=CallPolicy(), timing=Timing())
    with pytest.raises(LedgerUnavailableError, match="other requests wait"):
        await ledger.read(rows.find, ACCOUNT, "t-1")

    await database.aclose()


async def why_unusable(path: Path, clock: ManualClock) -> str:
    """The error of a request for a call; no request has left."""
    service = Service(clock)
    async with world(service, str(path)) as here:
        with pytest.raises(LedgerUnavailableError) as raised:
            await here.place()
    assert service.keys == []
    return str(raised.value)


async def test_a_file_that_is_no_ledger_stays_unchanged(path: Path, clock: ManualClock) -> None:
    path.parent.mkdir()
    path.write_text("no database " * 100)  # noqa: ASYNC240 - small

    assert f"{path} can't be used" in await why_unusable(path, clock)
    assert path.read_text() == "no database " * 100  # noqa: ASYNC240 - as above


async def test_nothing_is_placed_without_working_locks(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in some network folders."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    for flock, reason in (
        (lambda *_: None, "locks have no effect"),
        (refuse, "its folder has no locks"),
    ):
        monkeypatch.setattr(fcntl, "flock", flock)
        why = await why_unusable(path, clock)
        assert reason in why
        assert "KALLYAI_HOME must name a folder on a local disk" in why
        assert list(path.parent.rglob("*.lock")) == []


async def test_nothing_is_placed_without_shared_memory(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def without_shared_memory(database: Path, **options: Any) -> sqlite3.Connection:
        # SQLite's own locks by files, for file systems that have no others
        connection: sqlite3.Connection = connect(
            f"file:{database}?vfs=unix-dotfile", uri=True, **options
        )
        return connection

    monkeypatch.setattr(sqlite3, "connect", without_shared_memory)

    assert "can't share memory between processes, as in some network" in await why_unusable(
        path, clock
    )


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("state", "paused"),
        ("submission", '{"task_category": "garage", "task_description": "x"}'),
        ("outcome", "[]"),
    ],
)
async def test_an_unreadable_records_call_is_not_repeated(
    path: Path, clock: ManualClock, column: str, value: str
) -> None:
    service = Service(clock)
    async with opened(path, clock.now) as ledger:
        await reserved(ledger, asked(1, submission=TABLE))
        with connected(path) as other:
            other.execute(f"UPDATE calls SET {column} = ?", (value,))  # noqa: S608 - our names
        await reserved(ledger, another(2))
    async with world(service, str(path)) as here:
        found = await here.run(here.calls.find("t-1"))
        await here.run(clock.sleep(600))
        readable = await here.find("t-2")
        different = await here.call(TABLE.model_copy(update={"party_size": 9}))
        for redial in (False, True):
            with pytest.raises(LedgerUnavailableError, match="newer version"):
                await here.place(redial=redial)

    assert found is None
    assert readable.state is CallState.REFUSED  # its worker is gone, and its request never left
    assert different.state is CallState.ENDED
    assert len(service.keys) == 1


async def test_a_newer_schemas_ledger_is_used_as_is(
    path: Path, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    record = await reserved(ledger, another(1))
    await ledger.database.aclose()
    with connected(path) as other:
        other.execute("UPDATE schema_version SET version = 99")
        other.execute("ALTER TABLE calls ADD COLUMN mood TEXT NOT NULL DEFAULT 'good'")
        other.execute("CREATE TABLE moods (mood TEXT)")

    assert await ledger.read(rows.find, ACCOUNT, "t-1") == record
    await ended(ledger, another(2))
    await ledger.handle(ACCOUNT, Over(replace(record, state=CallState.ENDED, call=outcome())))

    assert await state_of(ledger, record) is CallState.ENDED
    assert "newer version" in caplog.text
    with connected(path) as other:
        assert other.execute("SELECT version FROM schema_version").fetchall() == [(99,)]
