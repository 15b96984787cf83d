"""A service whose answers a test chooses: on a real socket, or in the process of the test, where
only the test moves the clock.
"""

import asyncio
import inspect
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskGroup
from anyio.streams.tls import TLSListener
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True)
class ReceivedRequest:
    """One request as it was received."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> list[tuple[str, str]]:
        return parse_qsl(self.body.decode(), strict_parsing=True)

    def for_starlette(self) -> Request:
        """The same with Starlette's interface."""
        path, _, query = self.target.partition("?")
        headers = [(name.encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        scope = {"type": "http", "method": self.method, "path": unquote(path), "headers": headers}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": self.body}

        return Request(scope | {"query_string": query.encode()}, receive)


@dataclass(frozen=True)
class CloseWithoutReading:
    """Sends bytes and closes the connection without reading the request."""

    content: bytes = b""


RawReply = bytes | Callable[[SocketStream], Awaitable[None]]
Reply = Response | tuple[int, Any]
Handler = Callable[[Request], Reply | Awaitable[Reply]]


def answer(body: Any = b"", status: int = 200, **headers: str) -> bytes:
    """A complete response.

    A body other than bytes is sent as JSON. Underscores in header names become hyphens.
    """
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {
        "content_type": "application/json",
        "content_length": str(len(content)),
        "connection": "close",
    } | headers
    return (
        _head(status, [(name.replace("_", "-"), value) for name, value in given.items()]) + content
    )


def _head(status: int, headers: Sequence[tuple[str, str]]) -> bytes:
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Something"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} {phrase}\r\n{lines}\r\n".encode()


async def hang(_: SocketStream) -> None:
    """Sends no response."""
    await anyio.sleep_forever()


class FakeService:
    """Answers each request with the next of `replies`, and closes the connection; with b"", it only
    closes it.

    After the last one, `otherwise` is the answer: by default, that the request was not expected.
    """

    def __init__(
        self, *replies: RawReply | CloseWithoutReading, tls: ssl.SSLContext | None = None
    ) -> None:
        self.replies = list(replies)
        self.requests: list[ReceivedRequest] = []
        self.otherwise: RawReply = answer({"error": {"code": "unexpected_request"}}, 418)
        self.connections = 0
        self.port = 0
        self._tls = tls

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    async def start(self, tasks: TaskGroup) -> None:
        tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
        self.port = tcp.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's `extra`, not Django's
        listener = TLSListener(tcp, self._tls, standard_compatible=False) if self._tls else tcp
        tasks.start_soon(self._listen, listener)

    async def _listen(self, listener: Any) -> None:
        async with listener:
            await listener.serve(self._serve)

    async def _serve(self, stream: SocketStream) -> None:
        async with stream:
            self.connections += 1
            try:
                reply = self.replies.pop(0) if self.replies else self.otherwise
                if isinstance(reply, CloseWithoutReading):
                    await stream.send(reply.content)
                    return
                self.requests.append(await _read(stream))
                if isinstance(reply, bytes):
                    await stream.send(reply)
                else:
                    await reply(stream)
            except (anyio.BrokenResourceError, anyio.EndOfStream, ssl.SSLError):
                return


async def _read(stream: SocketStream) -> ReceivedRequest:
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, body = data.split(b"\r\n\r\n", 1)
    first, *lines = head.decode("ascii").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += await stream.receive()
    method, target, _ = first.split(" ")
    return ReceivedRequest(method, target, headers, body)


@asynccontextmanager
async def fake_service(handler: Handler) -> AsyncIterator[str]:
    """Answer on every path with what `handler` returns: a response, or a status and a JSON value;
    yields the URL.
    """

    async def respond(stream: SocketStream) -> None:
        response = await _response(handler, service.requests[-1].for_starlette())
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in response.raw_headers
        ]
        await stream.send(
            _head(response.status_code, [*headers, ("connection", "close")]) + bytes(response.body)
        )

    service = FakeService()
    service.otherwise = respond
    async with anyio.create_task_group() as tasks:
        await service.start(tasks)
        yield service.url
        tasks.cancel_scope.cancel()


def in_process(handler: Handler) -> ASGIApp:
    """The same without a socket, as an ASGI app."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await _response(handler, Request(scope, receive))
        await response(scope, receive, send)

    return app


async def _response(handler: Handler, request: Request) -> Response:
    given = handler(request)
    found = await given if inspect.isawaitable(given) else given
    return found if isinstance(found, Response) else JSONResponse(found[1], found[0])


@asynccontextmanager
async def tcp_server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]],
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """A server that calls `serve` for each connection and then closes it; yields its port.

    At its end it waits for the connections: one that is open when the loop ends is reported in a
    later test, as a leak.
    """
    connections: list[asyncio.Task[None]] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(cast("asyncio.Task[None]", asyncio.current_task()))
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls) as server:
        yield server.sockets[0].getsockname()[1]
        with anyio.fail_after(60):
            for connection in connections:
                await asyncio.wait([connection])


@asynccontextmanager
async def out_of_reach(closes: int) -> AsyncIterator[tuple[str, anyio.Event]]:
    """A server that closes so many connections, and then answers no handshake; yields its URL, and
    when that is.
    """
    is_waiting, count = anyio.Event(), 0

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        if count > closes:
            is_waiting.set()
            await reader.read()

    async with tcp_server(serve) as port:
        yield f"https://127.0.0.1:{port}", is_waiting
