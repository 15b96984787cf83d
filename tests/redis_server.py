"""A real `redis-server`, Debian's or anybody's, as a process of its own."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import free_port

LIMIT = 20
"""Seconds until a server that should have started or ended counts as hung."""


class RedisServer:
    """A server on a free port of 127.0.0.1; it can be started again on the same one, and forgets all unless told else.

    Args:
        folder: Where it may write.
        options: More of its command line; they win over those here.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and wait until it takes connections; on another port, should somebody have taken ours meanwhile."""
        for _ in range(5):
            if self._started():
                return
            self.port = free_port()
        raise AssertionError("redis-server does not start")

    def kill(self) -> None:
        """End it as a loss of power does."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=LIMIT)
            self._process = None

    def _started(self) -> bool:
        where = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder)]
        bare = ["--save", "", "--appendonly", "no", "--daemonize", "no", "--logfile", "", "--loglevel", "notice"]
        process = subprocess.Popen(
            [binary(), *where, *bare, *self._options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        alarm = threading.Timer(LIMIT, process.kill)
        alarm.start()
        ready = any("Ready to accept connections" in line for line in process.stdout)
        alarm.cancel()
        if not ready:
            process.communicate(timeout=LIMIT)
            return False
        self._process = process
        return True


def binary() -> str:
    """The program; the test is skipped on a machine that has none, such as one with Windows."""
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("there is no redis-server on this machine (Debian: apt-get install redis-server)")
    return found


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for all tests of a worker; each takes a prefix of its own."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server for one test, to be killed and started again; what it has answered for is on disk."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder, "--appendonly", "yes", "--appendfsync", "always")
    server.start()
    yield server
    server.kill()
