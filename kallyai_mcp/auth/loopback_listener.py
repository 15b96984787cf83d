"""A small HTTP server on 127.0.0.1 for the few requests of a browser that signs in.

The URLs of the requests have tokens, so it uses no web framework, which could log them.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketStream

from kallyai_mcp.background import background_task

_MAX_REQUEST_BYTES = 65_536
_REQUEST_SECONDS = 10.0
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
    """A context that listens on a free port of 127.0.0.1, and yields it. Each connection serves one request."""

    async def handle(stream: SocketStream) -> None:
        async with stream:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, TimeoutError):
                await _serve(stream, answer)

    listening = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listening as listener, background_task(listener.serve, handle):
        yield listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's


async def _serve(stream: ByteStream, answer: Callable[[Request], Reply]) -> None:
    import h11  # imported late: only a sign-in needs it

    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_REQUEST_BYTES)
    try:
        with anyio.fail_after(_REQUEST_SECONDS):
            while not isinstance(event := connection.next_event(), h11.Request):
                if event is not h11.NEED_DATA:
                    return
                connection.receive_data(await _receive(stream))
    except h11.RemoteProtocolError:
        await stream.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return
    path, _, query = event.target.decode("ascii").partition("?")
    headers = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
    reply = answer(Request(event.method.decode("ascii"), path, query, headers))
    head = h11.Response(
        status_code=reply.status,
        reason=HTTPStatus(reply.status).phrase.encode("ascii"),
        headers=[*reply.headers.items(), ("Content-Length", str(len(reply.body))), ("Connection", "close")],
    )
    await stream.send((connection.send(head) or b"") + (reply.body if event.method != b"HEAD" else b""))
    # If it were closed while the browser still sends, the connection would be reset, and the browser lose the reply.
    with anyio.move_on_after(_CLOSE_SECONDS):
        await stream.send_eof()
        reply.sent()
        while await _receive(stream):
            pass


async def _receive(stream: ByteStream) -> bytes:
    try:
        return await stream.receive()
    except anyio.EndOfStream:
        return b""
