"""Real processes that share one sign-in."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kallyai_mcp.auth.file_store import FileStore
from tests.auth.fakes import NOW, TokenEndpoint, tokens

Start = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def shared(tmp_path: Path, endpoint: TokenEndpoint) -> FileStore:
    store = FileStore(tmp_path, endpoint.url)
    store.save(tokens(left=0))
    return store


@pytest.fixture
def start(tmp_path: Path, endpoint: TokenEndpoint) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run() -> "subprocess.Popen[str]":
        arguments = [str(tmp_path), str(tmp_path / "renew.lock"), endpoint.url, str(NOW)]
        command = [sys.executable, "-m", "tests.auth.renewing_process", *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate(timeout=20)


def is_ready(process: "subprocess.Popen[str]") -> bool:
    assert process.stdout is not None
    return process.stdout.readline() == "ready\n"


def go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_two_processes_that_renew_at_once_send_one_renewal(
    shared: FileStore, start: Start, endpoint: TokenEndpoint
) -> None:
    endpoint.release.clear()
    processes = [start(), start()]
    assert [is_ready(process) for process in processes] == [True, True]
    for process in processes:
        go(process)
    assert endpoint.arrived.wait(20)
    endpoint.release.set()
    assert [process.communicate(timeout=20)[0] for process in processes] == ["access-1\n"] * 2
    assert endpoint.count == 1
    kept = shared.load()
    assert kept is not None
    assert kept.access_token.get_secret_value() == "access-1"


def test_a_killed_process_releases_the_lock(shared: FileStore, start: Start, endpoint: TokenEndpoint) -> None:
    endpoint.release.clear()
    dying, other = start(), start()
    assert is_ready(dying)
    assert is_ready(other)
    go(dying)
    assert endpoint.arrived.wait(20)
    dying.kill()
    dying.wait(20)
    endpoint.valid = "refresh-of-the-other"
    shared.save(tokens("access-0", "refresh-of-the-other", left=0))
    endpoint.release.set()
    go(other)
    token = other.communicate(timeout=20)[0]
    assert token.startswith("access-")
    assert token != "access-0\n"
