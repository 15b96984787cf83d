"""A small HTTP server on 127.0.0.1 for the few requests of a browser that signs in.

The URLs of the requests have tokens, so it uses no web framework, which could log them.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

_MAX_REQUEST_BYTES = 65_536
_CLOSE_SECONDS = 1.0


@dataclass(frozen=True, repr=False)
class Request:
    """A browser's request: the target before and after the question mark, and the headers by lower-case name."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Reply:
    """The reply to a request. `sent` is called when all of it has been written to the connection."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: Callable[[], None] = lambda: None


@asynccontextmanager
async def listening(answer: Callable[[Request], Reply]) -> AsyncIterator[int]:
    """A context that listens on a free port of 127.0.0.1, and yields it. Each connection serves one request.

    The end of the context ends all connections, also idle ones.
    """

    async def handle(stream: SocketStream) -> None:
        async with stream:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
                await _serve(stream, answer)

    listening = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listening as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
        tasks.cancel_scope.cancel()


async def _serve(stream: SocketStream, answer: Callable[[Request], Reply]) -> None:
    try:
        head = await BufferedByteReceiveStream(stream).receive_until(b"\r\n\r\n", _MAX_REQUEST_BYTES)
        reply = answer(_parse(head))
    except (anyio.IncompleteRead, anyio.DelimiterNotFound, ValueError):
        reply = Reply(400, b"")
    headers = {**reply.headers, "Content-Length": str(len(reply.body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    await stream.send("\r\n".join([*lines, "", ""]).encode("ascii") + reply.body)
    # If it were closed while the browser still sends, the connection would be reset, and the browser lose the reply.
    with anyio.move_on_after(_CLOSE_SECONDS):
        await stream.send_eof()
        reply.sent()
        while True:
            await stream.receive()


def _parse(head: bytes) -> Request:
    """The request line and the headers; raises `ValueError`."""
    first, *lines = head.decode("ascii").split("\r\n")
    method, target, _ = first.split(" ")
    path, _, query = target.partition("?")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Request(method, path, query, headers)
