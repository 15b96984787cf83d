"""The SQLite driver: one file, shared by all processes of one user on one machine."""

import asyncio
import logging
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kallyai_mcp.calls.errors import ConstraintError, LedgerUnavailableError
from kallyai_mcp.calls.ledger.base import Result, StatementError, Tx
from kallyai_mcp.calls.ledger.schema import NEEDED, check, migrate
from kallyai_mcp.calls.records import AccountKey

if TYPE_CHECKING:
    from filelock import FileLock

_log = logging.getLogger(__name__)

_BUSY_SECONDS = 10.0
"""How long to wait for the transactions of other processes. Each takes milliseconds."""

_OWN = (sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError, sqlite3.IntegrityError)
"""The errors of a statement that is wrong, so that it would fail in any file; with the code
`SQLITE_ERROR`, too.
"""

_UNSAFE_FOLDER = "as in some network folders; KALLYAI_HOME must name a folder on a local disk"


class SqliteDatabase:
    """An SQLite file with a ledger, which only its owner can read (mode 0600 on POSIX systems); see
    `Database`.

    The first use creates the file. With `synchronous=FULL`, what was written survives a loss of
    power; with `NORMAL`, only a crash of processes. The lease of a worker is a lock on a file in
    the folder `<path>.workers`. The system releases it when the process ends in any way, and keeps
    it while the process is suspended.

    `now` is the wall clock (aware); `seconds` is how long to wait for the transactions of other
    processes.
    """

    system = "sqlite"

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        seconds: float = _BUSY_SECONDS,
    ) -> None:
        # So that the leases are next to the file, and not next to a link to it.
        self._path = path.resolve()
        self._now = now
        self._seconds = seconds
        # A thread of its own, so that one transaction comes after another.
        self._thread = ThreadPoolExecutor(1)
        self._connection: sqlite3.Connection | None = None
        self._opened_as: tuple[int, int] | None = None
        self._is_closed = False
        self._lease: FileLock | None = None

    async def read(self, work: Callable[[Tx], Result]) -> Result:
        """See `Database.read`."""
        return await self._in_thread(lambda: self._run("BEGIN", None, work))

    async def write(
        self,
        work: Callable[[Tx], Result],
        account: AccountKey | None = None,
        *,
        is_durable: bool = True,
    ) -> Result:
        """See `Database.write`.

        Only one transaction writes at a time, so each account is locked.
        """

        def run() -> Result:
            if is_durable:
                return self._run("BEGIN IMMEDIATE", account, work)
            with self._without_waiting_for_the_disk():
                return self._run("BEGIN IMMEDIATE", account, work)

        return await self._in_thread(run)

    def version(self) -> object:
        """See `Database.version`. Two changes within milliseconds may look like one."""
        found = []
        for path in (self._path, self._path.with_name(f"{self._path.name}-wal")):
            with suppress(OSError):
                file = path.stat()
                found.append((file.st_ino, file.st_size, file.st_mtime_ns))
        if not found:
            return None
        # Windows may tell of a change only when the file is closed.
        return found if os.name == "posix" else object()

    def has_lease(self) -> bool:
        """See `Database.has_lease`."""
        return self._lease is not None and self._holds_lease(Path(self._lease.lock_file).stem)

    async def take_lease(self) -> str:
        """See `Database.take_lease`."""

        def taking() -> str:
            if self._is_closed:  # nothing would release the lease
                raise OSError("this program is ending")
            self._release()
            worker = uuid.uuid4().hex
            self._lease = self._lock(worker)
            folder = Path(self._lease.lock_file).parent
            _make_private_folder(folder)
            for other in folder.glob("*.lock"):
                with suppress(OSError):
                    # A file of the last minute may be one that another process is about to lock.
                    if time.time() - other.stat().st_mtime > 60 and self._is_abandoned(other.stem):
                        other.unlink()
            try:
                # Another process may look for a moment whether the file is abandoned.
                self._lease.acquire(timeout=1)
            except OSError as error:
                self._release()
                raise OSError(f"its folder has no locks ({error}), {_UNSAFE_FOLDER}") from error
            if self._is_abandoned(worker):
                self._release()
                raise OSError(f"locks have no effect in its folder, {_UNSAFE_FOLDER}")
            return worker

        return await self._in_thread(taking)

    async def aclose(self) -> None:
        """See `Database.aclose`."""

        def closing() -> None:
            self._is_closed = True
            self._close()
            self._release()

        await self._after_others(closing)

    def _run(self, begin: str, locked: AccountKey | None, work: Callable[[Tx], Result]) -> Result:
        with self._open() as connection:  # commits, or rolls back after an error
            connection.execute(begin)
            if work is not migrate:  # which makes the table
                check(connection.execute(NEEDED).fetchone()["version"])
            now = self._now().timestamp()
            result = work(
                Tx(connection.execute, now, self._holds_lease, self._is_abandoned, locked)
            )
        # What was written must be in the file that the next process opens.
        if _file_id(self._path) != self._opened_as:
            raise OSError("the file was deleted or replaced while it was in use")
        return result

    @contextmanager
    def _without_waiting_for_the_disk(self) -> Iterator[None]:
        """A context for a transaction that the next one of another kind makes durable, too."""
        self._open().execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            if self._connection is not None:
                self._connection.execute("PRAGMA synchronous = FULL")

    def _holds_lease(self, worker: str) -> bool:
        if self._lease is None:
            return False
        path = Path(self._lease.lock_file)
        return path.stem == worker and _file_id(path) is not None

    def _is_abandoned(self, worker: str) -> bool:
        lock = self._lock(worker)
        # Without this look, the lock itself would make the file of a worker that has ended.
        if _file_id(Path(lock.lock_file)) is None:
            return True
        with suppress(TimeoutError), lock.acquire(timeout=0):
            return True
        return False

    def _lock(self, worker: str) -> "FileLock":
        from filelock import FileLock  # late, as in `Session`

        path = self._path.with_name(f"{self._path.name}.workers") / f"{worker}.lock"
        # Without `fallback_to_soft`, the existence of a file would count as a lock, and stay after
        # a worker was killed.
        return FileLock(path, mode=0o600, thread_local=False, fallback_to_soft=False)

    def _release(self) -> None:
        """Release the lease, and delete its file."""
        if self._lease is not None:
            with suppress(OSError):
                Path(self._lease.lock_file).unlink()
            self._lease.release()
            self._lease = None

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        """The file, which is opened anew if another one is at its path by now."""
        if self._connection is not None and _file_id(self._path) == self._opened_as:
            return self._connection
        self._close()
        _make_private_folder(self._path.parent)
        # SQLite gives its other files the mode of the database file, so that one is created here
        # with the right mode.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        self._path.chmod(0o600)
        self._connection = sqlite3.connect(self._path, isolation_level=None, timeout=self._seconds)
        self._opened_as = _file_id(self._path)
        try:
            _use_write_ahead_log(self._connection, time.monotonic() + self._seconds)
            self._connection.execute("PRAGMA synchronous = FULL")
            # What the purge deletes must not stay in free pages of the file.
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.row_factory = lambda cursor, values: dict(sqlite3.Row(cursor, values))
            self._run("BEGIN IMMEDIATE", None, migrate)
        except BaseException:
            self._close()
            raise
        return self._connection

    async def _run_in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        until = time.monotonic() + self._seconds

        def in_time() -> Result:
            if time.monotonic() > until:
                raise OSError("other requests wait for it")
            return work()

        return await self._after_others(in_time)

    async def _after_others(self, work: Callable[[], Result]) -> Result:
        """Do `work` in the thread, however long that is busy."""
        try:
            return await self._run_in_thread(work)
        except (sqlite3.Error, OSError) as error:
            code = getattr(error, "sqlite_errorcode", None)
            # Of an index, which is a rule; unlike a primary key.
            if code == sqlite3.SQLITE_CONSTRAINT_UNIQUE:
                raise ConstraintError(f"The ledger refused the call: {error}") from error
            if isinstance(error, _OWN) or code == sqlite3.SQLITE_ERROR:
                _log.error("the ledger refused a statement: %s", error)
                raise StatementError(str(error)) from error
            _log.warning("the ledger can't be used: %s", error)
            raise LedgerUnavailableError(
                f"The ledger {self._path} can't be used: {error}"
            ) from error


def _make_private_folder(path: Path) -> None:
    # `parents=True` would leave their modes to the umask.
    for folder in (*reversed(path.parents), path):
        folder.mkdir(mode=0o700, exist_ok=True)


def _file_id(path: Path) -> tuple[int, int] | None:
    """The device and the inode of a file, which differ from those of a file that replaces it; None
    without a file.

    Raises `OSError` if it can't be found out whether there is one, unlike `Path.exists`.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def _use_write_ahead_log(connection: sqlite3.Connection, until: float) -> None:
    """Switch the log on; repeated while another process opens the file, which SQLite's own time-out
    does not cover.
    """
    mode = None
    while mode is None:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise OSError(f"its folder can't share memory between processes, {_UNSAFE_FOLDER}")
