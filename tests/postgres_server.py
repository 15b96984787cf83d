"""A real PostgreSQL server as a process of its own, and the fixtures that give a test one.

`postgres` is one server for the whole test run, shared by the workers of pytest-xdist;
`database_url` is an empty database on it. `own_postgres` is a server for one test, which may kill,
pause, and restart it.
"""

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString, Self

import pytest

from tests.processes import free_port

if TYPE_CHECKING:
    import psycopg
from tests.shared_process import shared_process

LIMIT = 120
"""Seconds until a server that should have started or ended counts as hung."""

NO_SERVER = "there is no PostgreSQL server on this machine (Debian: apt-get install postgresql)"

_USER = "kallyai"
_FIRST_DATABASE = "postgres"


class PostgresDatabases:
    """The databases of a server that listens on a port of 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self.port = port

    def url(self, database: str = _FIRST_DATABASE) -> str:
        """The URL of a database; without a name, of the one that every server has."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        """Create an empty database; returns its URL."""
        name = f"test_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop the database at `url`, whoever is still connected to it."""
        self.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def execute(self, statement: LiteralString, url: str | None = None) -> None:
        """Run one SQL statement."""
        import psycopg

        with psycopg.connect(url or self.url(), autocommit=True) as connection:
            connection.execute(statement)


class PostgresServer(PostgresDatabases):
    """A server on a free port of 127.0.0.1, in a temporary folder of its own; after a restart it
    has the same port.

    It keeps the durability that the ledger demands: `fsync` and `synchronous_commit` are on.
    `folder` is where it has its own folder: in memory, where only processes are killed. With
    `ends_with_this_thread`, the kernel ends it when the thread that starts it ends, even by SIGKILL
    (where there is util-linux's `setpriv`). `new_data` is the folder of the data that it begins
    with, which is copied.

    PostgreSQL refuses to run as root, so root runs it as the user `postgres` or `nobody`.
    """

    def __init__(
        self,
        *,
        folder: Path | None = None,
        ends_with_this_thread: bool = False,
        new_data: Path | None = None,
    ) -> None:
        super().__init__(free_port())
        self._user, self._group = _unprivileged_user()
        self._prefix = (
            ["setpriv", "--pdeathsig", "INT"]
            if ends_with_this_thread and shutil.which("setpriv")
            else []
        )
        # Not pytest's own temporary folder: only its owner may enter that.
        self._folder = Path(tempfile.mkdtemp(prefix="kallyai-postgres-", dir=folder))
        self._data, self._log = self._folder / "data", self._folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._was_started = False
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "on",
            "synchronous_commit": "on",
            "max_connections": "200",
            "autovacuum": "off",  # no test lasts long enough to need it
            # Files in its folder, which are gone when it was killed, too.
            "dynamic_shared_memory_type": "mmap",
        }
        try:
            self._initialize(new_data or _new_data())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        for _ in range(5):
            if self._started():
                return
            if not self._was_started:  # another process may have taken the port meanwhile
                self.port = free_port()
        raise AssertionError(
            "PostgreSQL does not start:\n" + self._log.read_text(encoding="utf-8")[-2000:]
        )

    def kill(self) -> None:
        """Kill all its processes at once, as a loss of power does."""
        if self._process is None:
            return
        _signal([self._process.pid, *self._freeze()], signal.SIGKILL)
        self._process.wait(LIMIT)
        self._process = None

    def pause(self) -> None:
        """Suspend all its processes: connections stay open, and nothing is answered."""
        self._freeze()

    def resume(self) -> None:
        """Let all its processes go on after `pause`."""
        assert self._process is not None
        _signal([*self._children(), self._process.pid], signal.SIGCONT)

    def close(self) -> None:
        """End it, if it runs, and delete its folder."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _initialize(self, new_data: Path) -> None:
        if self._user is not None and self._group is not None:
            shutil.chown(self._folder, self._user, self._group)
        command = [shutil.which("cp") or "/bin/cp", "-a", str(new_data), str(self._data)]
        subprocess.run(command, check=True, timeout=LIMIT)

    def _started(self) -> bool:
        settings = [
            f"--{name}={value}"
            for name, value in (self._settings | {"port": str(self.port)}).items()
        ]
        with self._log.open("a") as log:
            process = subprocess.Popen(
                [*self._prefix, _programs() / "postgres", "-D", self._data, *settings],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self._folder,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the tests; they end it
                user=self._user,
                group=self._group,
            )
        self._process = process
        deadline, written = time.monotonic() + LIMIT, self._data / "postmaster.pid"
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError):
                status = written.read_text(encoding="utf-8")
                if status.startswith(f"{process.pid}\n") and "ready" in status:
                    self._was_started = True
                    return True
            time.sleep(0.01)
        self.kill()
        return False

    def _freeze(self) -> list[int]:
        """Suspend all its processes; returns the ids of the children."""
        assert self._process is not None
        # The parent first: from then on there are no new children.
        _signal([self._process.pid], signal.SIGSTOP)
        children = self._children()
        _signal(children, signal.SIGSTOP)
        return children

    def _children(self) -> list[int]:
        assert self._process is not None
        command = [shutil.which("ps") or "/bin/ps", "-A", "-o", "pid=,ppid="]
        listed = subprocess.run(command, capture_output=True, text=True, check=True)
        rows = (line.split() for line in listed.stdout.splitlines())
        return [int(pid) for pid, parent in rows if int(parent) == self._process.pid]


@pytest.fixture(scope="session")
def new_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data of a new server, made once for this test run; the test is skipped on a machine
    without PostgreSQL.
    """
    skip_without_server()
    with shared_process(
        tmp_path_factory, "postgres-data", lambda: nullcontext(str(_new_data()))
    ) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres(
    tmp_path_factory: pytest.TempPathFactory, new_data: Path
) -> Iterator[PostgresDatabases]:
    """The one server of this test run."""
    with shared_process(tmp_path_factory, "postgres", partial(_running, new_data)) as port:
        yield PostgresDatabases(int(port))


@pytest.fixture(scope="session")
def own_database(postgres: PostgresDatabases) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    """A database of this process, on the run's server: making one for each test would take longer
    than the tests.
    """
    import psycopg

    url = postgres.create_database()
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection
    postgres.drop_database(url)


@pytest.fixture
def database_url(
    postgres: PostgresDatabases, own_database: "psycopg.Connection[tuple[Any, ...]]"
) -> str:
    """The URL of an empty database on the run's server; a test must not change its settings or its
    tables.
    """
    own_database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    tables = own_database.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    ).fetchall()
    filled = [table for (table,) in tables if table != "schema_version"]
    own_database.execute("".join(f"DELETE FROM {table};" for table in filled).encode())  # noqa: S608 - names of ours
    return postgres.url(own_database.info.dbname)


@pytest.fixture
def own_postgres(new_data: Path) -> Iterator[PostgresServer]:
    """A running server for one test, to be killed, paused, and started again."""
    with PostgresServer(new_data=new_data) as server:
        yield server


def has_server() -> bool:
    """Whether this machine has the programs of a PostgreSQL server.

    Those of Windows can't be ended as is done here.
    """
    return sys.platform != "win32" and bool(_found_programs())


def skip_without_server() -> None:
    """Skip the test on a machine without PostgreSQL.

    Call it in a fixture that is not asynchronous.
    """
    if not has_server():
        pytest.skip(NO_SERVER)


@contextlib.contextmanager
def _running(new_data: Path) -> Iterator[str]:
    """Start a server for all workers, and end it; gives its port."""
    with PostgresServer(ends_with_this_thread=True, new_data=new_data) as server:
        yield str(server.port)


def _found_programs() -> list[Path]:
    """The folders with the programs of a server, which Debian keeps out of `PATH`; the newest
    first.
    """
    found = [Path(path).resolve().parent] if (path := shutil.which("initdb")) else []
    found += sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: folder.parent.name,
        reverse=True,
    )
    return [
        folder
        for folder in found
        if all((folder / name).exists() for name in ("initdb", "postgres"))
    ]


def _programs() -> Path:
    assert has_server(), NO_SERVER
    return _found_programs()[0]


@lru_cache(maxsize=1)
def _new_data() -> Path:
    """The data of a new server, made once for this process: to copy it takes a tenth of the
    time.
    """
    user, group = _unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="kallyai-postgres-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if user is not None and group is not None:
        shutil.chown(folder, user, group)
    command = [
        str(_programs() / "initdb"),
        "-D",
        str(folder / "data"),
        "-U",
        _USER,
        "--auth=trust",
        "--no-sync",
    ]
    done = subprocess.run(
        [*command, "--encoding=UTF8", "--locale=C"],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        cwd=folder,
        env=_environment(),
        check=False,
        user=user,
        group=group,
    )
    assert done.returncode == 0, done.stderr
    return folder / "data"


def _unprivileged_user() -> tuple[int | None, int | None]:
    """The ids of the user and the group that the server runs as; None unless this process is
    root.
    """
    if os.geteuid() != 0:
        return None, None
    import pwd

    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return user.pw_uid, user.pw_gid
    raise AssertionError(
        "root can't run PostgreSQL, and this machine has neither `postgres` nor `nobody`"
    )


def _environment() -> dict[str, str]:
    """This process's environment without a developer's own settings of PostgreSQL, and with
    messages in English.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {
        "LC_ALL": "C"
    }


def _signal(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)
