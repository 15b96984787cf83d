"""A log whose reader stalls: what the server does meanwhile, and what the reader is told later."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from kallyai_mcp.logs.setup import configure
from tests import programs
from tests.processes import COMMAND, LIMIT, environment, free_port
from tests.transports.http_server import ACCEPT, SECRET_KEYS
from tests.transports.stdio_peer import initialization, line, piped
from tests.transports.workers import workers_command

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes like these")

UNKNOWN_CALL = {"name": "get_call", "arguments": {"call_id": "c-1"}}
"""A tool call that fails, which is one line of the log at level INFO."""

logger = logging.getLogger("tests.somewhere")


class Pipe(NamedTuple):
    """The two ends of a pipe."""

    reads: int
    writes: int

    def fill(self) -> int:
        """Write until nobody can write any more without waiting; returns how many bytes."""
        written = 0
        os.set_blocking(self.writes, False)
        try:
            while True:
                written += os.write(self.writes, b"x" if written % 4096 else b"x" * 4096)
        except BlockingIOError:
            return written
        finally:
            os.set_blocking(self.writes, True)

    def read_until(self, words: str) -> str:
        """Read until these words have come; returns what was read."""
        data = b""
        while words.encode() not in data:
            data += os.read(self.reads, 65_536)
        return data.decode()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe(*os.pipe())
    yield made
    for descriptor in made:
        os.close(descriptor)


@contextmanager
def logging_into(pipe: Pipe, level: str = "INFO") -> Iterator[None]:
    """The log of this process goes into the pipe while the block runs."""
    root = logging.getLogger()
    handlers, before = list(root.handlers), root.level
    with open(pipe.writes, "w", closefd=False) as stream, redirect_stderr(stream):
        configure(level, "json")
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(before)


@contextmanager
def killed_at_the_end(process: "subprocess.Popen[Any]") -> Iterator[None]:
    """Kill a process at the end of the block, and after a minute, so that no read waits for
    ever.
    """
    timer = threading.Timer(60, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        process.kill()


@pytest.mark.programs
def test_stdio_works_while_nobody_reads_its_log(tmp_path: Path, pipe: Pipe) -> None:
    pipe.fill()
    command = [*COMMAND, "serve", "--sandbox"]
    with (
        piped(tmp_path, command, stderr=pipe.writes, LOG_LEVEL="INFO") as peer,
        killed_at_the_end(peer.process),
    ):
        peer.send(initialization())
        peer.answer()
        peer.send(line(2, "tools/call", **UNKNOWN_CALL))
        failed = peer.answer()
        peer.process.send_signal(signal.SIGTERM)

        assert failed["result"]["isError"]
        assert peer.process.wait(LIMIT) == 0


@pytest.mark.programs
def test_http_works_while_nobody_reads_its_log(tmp_path: Path, pipe: Pipe) -> None:
    command = [*COMMAND, "serve", "--transport", "http", "--port", "0", "--sandbox"]
    variables = environment(tmp_path, LOG_LEVEL="INFO")
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": UNKNOWN_CALL}
    with (
        subprocess.Popen(command, env=variables, stderr=pipe.writes) as process,
        killed_at_the_end(process),
    ):
        url = pipe.read_until("/sse").rpartition("serves ")[2].partition("/mcp")[0]
        pipe.fill()
        with httpx2.Client(base_url=url, headers=ACCEPT, timeout=LIMIT) as client:
            failed = client.post("/mcp", json=body).text
            health = client.get("/health")
        process.send_signal(signal.SIGTERM)

        assert '"isError":true' in failed
        assert health.status_code == 200
        assert process.wait(LIMIT) == 0


@pytest.mark.programs
def test_workers_answer_while_uvicorns_log_is_unread(tmp_path: Path, pipe: Pipe) -> None:
    port = free_port()
    settings = {"AUTH": "secret", "MCP_TOKEN": "a-secret-of-many-words", "SECRET_KEYS": SECRET_KEYS}
    variables = environment(tmp_path, **settings)
    with (
        subprocess.Popen(workers_command(port, 1), env=variables, stderr=pipe.writes) as process,
        killed_at_the_end(process),
    ):
        pipe.read_until("running on")
        pipe.fill()
        with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as client:
            client.sendall(b"no HTTP\r\n\r\n")  # which uvicorn logs
            assert client.recv(1000).startswith(b"HTTP/1.1 400")
        assert httpx2.get(f"http://127.0.0.1:{port}/health", timeout=LIMIT).status_code == 200


def test_log_lines_without_room_are_counted(pipe: Pipe) -> None:
    filled = pipe.fill()
    with logging_into(pipe):
        for number in range(20_000):
            logger.info("line %d", number)
        told = pipe.read_until("because stderr was not read in time")[filled:]

    *kept, last = [json.loads(text)["message"] for text in told.splitlines()]
    assert kept == [f"line {number}" for number in range(len(kept))]
    assert len(kept) < 20_000
    assert last.endswith(f": {20_000 - len(kept):,}")


@pytest.mark.programs
def test_a_process_ends_after_its_log() -> None:
    program = """
import logging
from kallyai_mcp.logs.setup import configure
configure("INFO")
for number in range(100):
    logging.getLogger("tests").info("line %d", number)
"""
    done = programs.run_well([sys.executable, "-c", program], seconds=LIMIT)

    assert done.stderr.splitlines() == [f"line {number}" for number in range(100)]
