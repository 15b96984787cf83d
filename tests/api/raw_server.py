"""A server on a real socket that sends given bytes and keeps the requests that it got."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import anyio
from anyio.abc import Listener, SocketAttribute, SocketStream, TaskGroup

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.api.errors import NotSignedInError
from kallyai_mcp.api.models import Submission

REFERENCE = Path(__file__).parent.parent / "reference"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.first-token.c2lnbmF0dXJl"
FRESH = "eyJhbGciOiJIUzI1NiJ9.fresh-token.c2lnbmF0dXJl"
USER_AGENT = "kallyai-mcp/0.0.0-test"
SUBMISSION = Submission(
    task_category="restaurant", task_description="Reserve table for 4", respondent_phone="+14155551234"
)


def reference(name: str) -> Any:
    return json.loads((REFERENCE / f"{name}.json").read_bytes())


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


Reply = bytes | Callable[[SocketStream], Awaitable[None]]


def answer(body: Any = b"", status: int = 200, **headers: str) -> bytes:
    """A complete response. A body other than bytes is sent as JSON. Underscores in header names become hyphens."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Something"
    given = {"content_type": "application/json", "content_length": str(len(content)), "connection": "close"} | headers
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
    return f"HTTP/1.1 {status} {phrase}\r\n{head}\r\n".encode() + content


DETAILS = answer(reference("call_details"), 201)
STATISTICS = answer(reference("statistics"))


async def hang(_: SocketStream) -> None:
    """Sends no response."""
    await anyio.sleep_forever()


@dataclass(frozen=True)
class CloseWithoutReading:
    """Sends bytes and closes the connection without reading the request."""

    content: bytes = b""


class RawServer:
    """Responds to each request with the next of `replies`, and closes the connection; with b"", it only closes it."""

    def __init__(self, *replies: Reply | CloseWithoutReading) -> None:
        self.replies = list(replies)
        self.requests: list[ReceivedRequest] = []
        self.connections = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, tasks: TaskGroup) -> None:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        self.port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's `extra`, not Django's
        tasks.start_soon(self._listen, listener)

    async def _listen(self, listener: Listener[SocketStream]) -> None:
        async with listener:
            await listener.serve(self._serve)

    async def _serve(self, stream: SocketStream) -> None:
        async with stream:
            self.connections += 1
            reply = self._next_reply()
            try:
                if isinstance(reply, CloseWithoutReading):
                    await stream.send(reply.content)
                    return
                self.requests.append(await _read(stream))
                if isinstance(reply, bytes):
                    await stream.send(reply)
                else:
                    await reply(stream)
            except (anyio.BrokenResourceError, anyio.EndOfStream):
                return

    def _next_reply(self) -> Reply | CloseWithoutReading:
        return self.replies.pop(0) if self.replies else answer({"error": {"code": "unexpected_request"}}, 418)


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


class Tokens:
    """A token source that returns the first of the given tokens, and the next one after each rejection."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.rejected: list[str] = []

    async def access_token(self) -> str:
        return self.tokens[0]

    async def renew(self, rejected: str) -> str:
        self.rejected.append(rejected)
        if len(self.tokens) == 1:
            raise NotSignedInError("Sign in again")
        self.tokens.pop(0)
        return self.tokens[0]


@asynccontextmanager
async def client_and_server(
    *replies: Reply | CloseWithoutReading, seconds: float = 10, **options: Any
) -> AsyncIterator[tuple[KallyAI, RawServer]]:
    """A client and its server, for at most `seconds`. Retries do not wait."""
    server = RawServer(*replies)
    given: dict[str, Any] = {"tokens": Tokens(TOKEN), "user_agent": USER_AGENT, "retry_backoff": 0} | options
    only: BaseException
    try:
        with anyio.fail_after(seconds):
            async with anyio.create_task_group() as tasks:
                await server.start(tasks)
                yield KallyAI(server.url, **given), server
                tasks.cancel_scope.cancel()
            return
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        only = group.exceptions[0]
    raise only
