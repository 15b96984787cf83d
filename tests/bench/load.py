"""Load on `/mcp` from plain sockets, because a client library takes more time than the servers."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

_VERSION = "2026-07-28"


def request(port: int, tool: str, arguments: dict[str, Any], bearer: str = "") -> bytes:
    """The bytes of an HTTP request with a `tools/call` (2026-07-28, without a session)."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": _VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "load", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {_VERSION}\r\n"
        f"Mcp-Method: tools/call\r\nMcp-Name: {tool}\r\nAuthorization: Bearer {bearer}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _is_answered(received: bytearray) -> bool:
    """Whether the whole response was received; raises `RuntimeError` if it is an error."""
    head_end = received.find(b"\r\n\r\n")
    if head_end < 0:
        return False
    head = bytes(received[:head_end]).lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    body = bytes(received[head_end + 4 :])
    if len(body) < length:
        return False
    if not head.startswith(b"http/1.1 200") or b'"isError":true' in body or b'"result"' not in body:
        raise RuntimeError(f"not an answer: {head[:40]!r} {body[:300]!r}")
    return True


class _Client(asyncio.Protocol):
    """One connection that sends a request, waits for the response, and repeats that until the time is up."""

    def __init__(self, messages: Iterator[bytes], until: float) -> None:
        self._messages = messages
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
            if not _is_answered(self._buffer):
                return
        except RuntimeError as error:
            self._finish(error)
            return
        self._buffer.clear()
        now = time.perf_counter()
        self.times.append(now - self._sent)
        self._send() if now < self._until else self._finish(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(exc or ConnectionError("the server closed the connection"))

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(next(self._messages))

    def _finish(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None) if error is None else self.done.set_exception(error)
            self._transport.close()


@dataclass
class Load:
    """The result of a load: requests per second of all clients together, and the milliseconds of one.

    `milliseconds` is the median, and 99 of 100 requests take at most `slow`.
    """

    rate: float
    milliseconds: float
    slow: float

    @classmethod
    async def run(cls, port: int, messages: Iterator[bytes], clients: int, seconds: float) -> Self:
        """Send one message after another, from `clients` connections, for `seconds`.

        Raises:
            RuntimeError: A response is an error.
            ConnectionError: A connection broke.
        """
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        connected = [
            (await loop.create_connection(lambda: _Client(messages, began + seconds), "127.0.0.1", port))[1]
            for _ in range(clients)
        ]
        await asyncio.gather(*(client.done for client in connected))
        taken = time.perf_counter() - began
        times = sorted(each for client in connected for each in client.times)
        return cls(len(times) / taken, times[len(times) // 2] * 1000, times[len(times) * 99 // 100] * 1000)
