"""A listener for a browser's few requests, on 127.0.0.1 only.

It is not a web server with its log switched off, but one that can't log: what comes in has tokens in its address.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketStream

_ADDRESS_LIMIT = 65_536
_REQUEST_SECONDS = 10.0
_GOODBYE_SECONDS = 1.0


@dataclass(frozen=True, repr=False)
class Request:
    """What a browser asked for.

    Attributes:
        method: In capital letters, such as `GET`.
        path: The address up to the question mark.
        query: What follows the question mark, undecoded.
        headers: By name in lower case; the last one where there are several of one name.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Reply:
    """What it gets.

    Attributes:
        status: The HTTP status.
        body: The page.
        headers: The headers; `Content-Length` and `Connection` are added.
        sent: Called once the whole reply has been handed to the browser's connection.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: Callable[[], None] = lambda: None


@asynccontextmanager
async def listening(answer: Callable[[Request], Reply], port: int = 0) -> AsyncIterator[int]:
    """Listen on 127.0.0.1 and give each request to `answer`, until the context ends.

    Args:
        answer: Called once a request; one request a connection.
        port: 0 for a free one.

    Yields:
        The port, on which connections are already accepted.
    """
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    connections = anyio.create_task_group()

    async def handle(stream: SocketStream) -> None:
        async with stream:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
                await _converse(stream, answer)

    async with listener:
        await connections.__aenter__()
        try:
            connections.start_soon(listener.serve, handle)
            yield listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
        finally:
            # Left by hand, so that an error inside the context comes out as itself and not in an exception group.
            connections.cancel_scope.cancel()
            await connections.__aexit__(None, None, None)


async def _converse(stream: ByteStream, answer: Callable[[Request], Reply]) -> None:
    import h11  # late: a server that nobody signs in to has no use for it

    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_ADDRESS_LIMIT)
    try:
        with anyio.fail_after(_REQUEST_SECONDS):
            while not isinstance(event := connection.next_event(), h11.Request):
                if event is not h11.NEED_DATA:
                    return
                connection.receive_data(await _received(stream))
    except TimeoutError:
        return
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
    body = reply.body if event.method != b"HEAD" else b""
    await stream.send((connection.send(head) or b"") + body)
    # Closing while the browser is still sending would reset the connection, and the reply with it.
    with anyio.move_on_after(_GOODBYE_SECONDS):
        await stream.send_eof()
        reply.sent()
        while await _received(stream):
            pass


async def _received(stream: ByteStream) -> bytes:
    try:
        return await stream.receive()
    except anyio.EndOfStream:
        return b""
