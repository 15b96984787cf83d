"""Servers that are measured, their memory, and load on `/mcp` from plain sockets."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import httpx

VERSION = "2026-07-28"


def request(port: int, tool: str, arguments: dict[str, Any], bearer: str | None = None) -> bytes:
    """The HTTP request of a tools/call of 2026-07-28, which needs no session."""
    authorization = f"Authorization: Bearer {bearer}\r\n" if bearer is not None else ""
    meta = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "load", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {VERSION}\r\n"
        f"Mcp-Method: tools/call\r\nMcp-Name: {tool}\r\n{authorization}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def is_answered(received: bytes | bytearray) -> bool:
    """Whether the whole answer to `request` has come.

    Raises:
        RuntimeError: It is not what a tool answers when all went well.
    """
    head_end = received.find(b"\r\n\r\n")
    if head_end < 0:
        return False
    head = bytes(received[:head_end]).lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    if len(received) < head_end + 4 + length:
        return False
    body = bytes(received[head_end + 4 : head_end + 4 + length])
    if not head.startswith(b"http/1.1 200") or b'"isError":true' in body or b'"result"' not in body:
        raise RuntimeError(f"not an answer: {head[:40]!r} {body[:300]!r}")
    return True


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on just now."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def memory(pid: int, kind: Literal["VmHWM", "VmRSS"]) -> int | None:
    """The peak or the present resident memory of a process in kB; None on a system without /proc."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    lines = status.read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind))


@contextmanager
def upstream() -> Iterator[str]:
    """The URL of a KallyAI that answers at once."""
    with subprocess.Popen([sys.executable, "-m", "tests.bench.upstream"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@contextmanager
def serving(command: list[str], port: int, env: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A server process that answers on `port`."""
    with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port)
            yield process
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx.get(f"http://127.0.0.1:{port}/", timeout=5)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing answers on port {port}")


class _Client(asyncio.Protocol):
    """One connection that sends a request, waits for the answer, and sends it again, until the time is up."""

    def __init__(self, message: bytes, until: float) -> None:
        self._message = message
        self._until = until
        self._buffer = bytearray()
        self._sent = 0.0
        self.times: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            if not is_answered(self._buffer):
                return
        except RuntimeError as error:
            self._finish(error)
            return
        self._buffer.clear()
        now = time.perf_counter()
        self.times.append(now - self._sent)
        if now < self._until:
            self._send()
        else:
            self._finish(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(exc or ConnectionError("the server hung up"))

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._message)

    def _finish(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None) if error is None else self.done.set_exception(error)
            self._transport.close()


@dataclass
class Load:
    """What clients that ask one after another got.

    Attributes:
        rate: Requests a second, of all clients together.
        times: How long each request took, in seconds, the shortest first.
    """

    rate: float
    times: list[float] = field(repr=False)

    def quantile(self, share: float) -> float:
        """Within how many seconds this share of the requests was answered."""
        return self.times[min(len(self.times) - 1, int(len(self.times) * share))]

    @classmethod
    async def run(cls, port: int, message: bytes, clients: int, seconds: float) -> Self:
        """Load from `clients` connections for `seconds`.

        Raises:
            RuntimeError: An answer was an error.
            ConnectionError: A connection broke.
        """
        loop = asyncio.get_running_loop()
        started = time.perf_counter()
        connected = [
            (await loop.create_connection(lambda: _Client(message, started + seconds), "127.0.0.1", port))[1]
            for _ in range(clients)
        ]
        await asyncio.gather(*(client.done for client in connected))
        taken = time.perf_counter() - started
        times = sorted(duration for client in connected for duration in client.times)
        return cls(len(times) / taken, times)
