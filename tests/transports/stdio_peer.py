"""A client that writes raw bytes to a server over stdio, and reads what it likes."""

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, cast

from tests.processes import environment
from tests.transports.http_server import initialize


def line(number: int | str, method: str, **params: Any) -> bytes:
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return json.dumps(message, ensure_ascii=False).encode() + b"\n"


def initialization() -> bytes:
    request = json.dumps(initialize()).encode() + b"\n"
    return request + b'{"jsonrpc": "2.0", "method": "notifications/initialized"}\n'


class Peer:
    """A client that writes raw bytes."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", writes: IO[bytes], reads: IO[bytes]
    ) -> None:
        self.process, self.writes, self.reads = process, writes, reads

    def send(self, data: bytes) -> None:
        self.writes.write(data)
        self.writes.flush()

    def answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.reads.readline())
        return answer


@contextmanager
def piped(
    home: Path,
    command: list[str],
    *,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    **settings: str,
) -> Iterator[Peer]:
    """Start a server on two pipes, or on one and a file for its answers."""
    env = environment(home, **settings)
    with subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr
    ) as process:
        assert process.stdin is not None
        reads = process.stdout or cast("IO[bytes]", stdout)
        try:
            yield Peer(process, process.stdin, reads)
        finally:
            process.kill()


@contextmanager
def on_sockets(home: Path, command: list[str], **settings: str) -> Iterator[Peer]:
    """Start a server on two pairs of sockets, as Node does for a child process."""
    (writes, stdin), (reads, stdout) = socket.socketpair(), socket.socketpair()
    with writes, reads, stdin, stdout:
        process = subprocess.Popen(
            command, env=environment(home, **settings), stdin=stdin.fileno(), stdout=stdout.fileno()
        )
        peer = Peer(process, writes.makefile("wb"), reads.makefile("rb"))
    with process, peer.writes, peer.reads:
        try:
            yield peer
        finally:
            process.kill()


Connected = Callable[..., AbstractContextManager[Peer]]
