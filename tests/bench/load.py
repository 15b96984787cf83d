"""Load on `/mcp` from plain sockets, because a client library takes more time than the servers."""

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

_VERSION = "2026-07-28"


def request(port: int, tool: str, arguments: dict[str, Any], bearer: str = "") -> bytes:
    """The bytes of an HTTP request with a `tools/call` (2026-07-28, without a session)."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": _VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "load", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    body = json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    ).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {_VERSION}\r\n"
        f"Mcp-Method: tools/call\r\nMcp-Name: {tool}\r\nAuthorization: Bearer {bearer}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _client(port: int, messages: Iterator[bytes], until: float) -> list[float]:
    """Send a message, wait for the response, and repeat that until the time is up; the seconds that
    each took.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times: list[float] = []
    while not times or time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(next(messages))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        (length,) = re.findall(rb"content-length: (\d+)", head)
        body = await reader.readexactly(int(length))
        times.append(time.perf_counter() - began)
        if (
            not head.startswith(b"http/1.1 200")
            or b'"isError":true' in body
            or b'"result"' not in body
        ):
            raise RuntimeError(f"not an answer: {head[:40]!r} {body[:300]!r}")
    writer.close()
    return times


class Measured:
    """A server, and what was measured in each round, by the number of clients that use it at once.

    `rates` are requests a second of all clients together, and `times` the milliseconds of one, the
    median; 99 of 100 requests take at most `slow`.
    """

    def __init__(self, port: int, messages: Iterator[bytes], clients: Sequence[int]) -> None:
        self._port, self._messages, self._clients = port, messages, clients
        self.rates = defaultdict[int, list[float]](list)
        self.times = defaultdict[int, list[float]](list)
        self.slow = defaultdict[int, list[float]](list)

    async def _use(self, clients: int, seconds: float) -> None:
        began = time.perf_counter()
        each = (_client(self._port, self._messages, began + seconds) for _ in range(clients))
        times = sorted(time for times in await asyncio.gather(*each) for time in times)
        self.rates[clients].append(len(times) / (time.perf_counter() - began))
        self.times[clients].append(times[len(times) // 2] * 1000)
        self.slow[clients].append(times[len(times) * 99 // 100] * 1000)

    async def use(self, seconds: float) -> None:
        """Put it under each load once."""
        for clients in self._clients:
            await self._use(clients, seconds)

    def forget(self) -> None:
        """Drop what was measured: the first round warms up."""
        for figures in (self.rates, self.times, self.slow):
            figures.clear()


async def measure(servers: Sequence[Measured], rounds: int, seconds: float) -> None:
    """Put the servers under load in turn, in each round and once before; an error in a response
    ends it.
    """
    for number in range(rounds + 1):
        for server in servers:
            await server.use(seconds)
            if number == 0:
                server.forget()
