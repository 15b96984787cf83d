"""The stdio transport: one client on standard input and output, with what the SDK's own transport
does not do.

* An outcome is delivered when the client has read the answer with it.
* A line that is no message is answered with an error (JSON-RPC 2.0, section 5.1). The SDK drops it,
  and the client would wait for ever.
* `initialize` may follow `server/discover`. Some clients wait only a second for the answer to
  `server/discover`, while the server may still start, and then send `initialize`. The SDK refuses
  this on a connection whose first request was of the version 2026-07-28.
* The event loop waits for pipes and sockets. The SDK's threads take a third of the time of a fast
  tool call.
"""

import json
import os
import stat
import sys
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.lowlevel.server import Server
from mcp.server.mcpserver import MCPServer
from mcp.server.runner import serve_dual_era_loop
from mcp.shared.message import SessionMessage
from mcp.types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

from kallyai_mcp.server.sdk_internals import lowlevel_server
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.transports.first_answers import FirstAnswers
from kallyai_mcp.transports.standard_streams import can_be_waited_for, take_stdio

if sys.platform != "win32":
    import fcntl
    import select
    import termios

_CHUNK = 64 * 1024

_PAUSE = 0.1
"""Seconds until it is looked whether an answer was read, and between two looks."""


async def serve_stdio(server: MCPServer[AppContext], first: FirstAnswers | None = None) -> None:
    """Serve one client on stdin and stdout until it closes one of them.

    Only the protocol is written to stdout. Other output of the process goes to stderr. `first` has
    answered the client until now; None if nothing was answered yet.
    """
    first = first or FirstAnswers(*take_stdio())
    first.stop()
    lowlevel = lowlevel_server(server)
    try:
        async with lowlevel.lifespan(lowlevel) as state, anyio.create_task_group() as tasks:
            client = _Client(first, state)
            tasks.start_soon(client.watch)
            while not client.has_left:
                await client.serve(lowlevel)
            await client.note_read()
            tasks.cancel_scope.cancel()
    except* ConnectionError:
        pass  # the client has closed its end of stdout without closing stdin: it has left


class _Client:
    """A client that sends a message in each line. `has_left`: it has sent its last line."""

    def __init__(self, first: FirstAnswers, state: AppContext) -> None:
        self._state = state
        self._delivery = state.calls.delivery
        self._delivery.delivers_when_read = True
        self._lines = read_lines(first.stdin, b"".join(first.handshake) + first.received)
        self._output = _Output(first.stdout)
        self._answered_id = first.answered_id
        self._has_answer = anyio.Event()
        self._writing = anyio.Lock()
        self._noting = anyio.Lock(fast_acquire=True)
        self._unread: deque[tuple[int, object]] = deque()
        """Where the answers that were written and may have an outcome end, each with the id of its
        request.
        """
        self._has_unread = anyio.Event()
        self.has_left = False

    async def serve(self, server: Server[AppContext]) -> None:
        """Serve one connection of the SDK: a `server/discover` that comes first, or all that
        follows.
        """
        requests, read = anyio.create_memory_object_stream[SessionMessage | Exception]()
        send, answers = anyio.create_memory_object_stream[SessionMessage]()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._receive, requests)
            tasks.start_soon(self._send, answers)
            await serve_dual_era_loop(server, read, send, lifespan_state=self._state)

    async def _receive(self, requests: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        async with requests:
            is_first = True
            async for line in self._lines:
                await self.note_read(is_followed=True)
                if (message := await self._message_in(line)) is None:
                    continue
                self._has_answer = anyio.Event()
                await requests.send(SessionMessage(message))
                if (
                    is_first
                    and isinstance(message, JSONRPCRequest)
                    and message.method == "server/discover"
                ):
                    await self._has_answer.wait()
                    return
                is_first = False
            self.has_left = True

    async def _message_in(self, line: str) -> JSONRPCMessage | None:
        """The message in a line; None if there is none, which the client is told.

        A response that is not valid is not answered: the client could take the error for the
        response to its own request with the same id. An error takes its place, so that the code
        that waits for the response goes on.
        """
        with suppress(ValidationError):
            return jsonrpc_message_adapter.validate_json(line, by_name=False)
        if not line.strip():
            return None
        parsed = None
        code = INVALID_REQUEST
        words = (
            "Invalid request: not one JSON-RPC 2.0 message of MCP, or with half a surrogate pair"
        )
        try:
            parsed = json.loads(line)
        except (ValueError, RecursionError):
            code = PARSE_ERROR
            words = "Parse error: not JSON, or nested too deeply"
        message: dict[str, Any] = parsed if isinstance(parsed, dict) else {}
        id_ = message.get("id")
        if type(id_) is int and "method" not in message:
            return JSONRPCError(jsonrpc="2.0", id=id_, error=ErrorData(code=code, message=words))
        error = {"code": code, "message": words}
        answer = {"jsonrpc": "2.0", "id": id_ if type(id_) in (int, str) else None, "error": error}
        await self._write(json.dumps(answer))
        return None

    async def _send(self, answers: MemoryObjectReceiveStream[SessionMessage]) -> None:
        async with answers:
            async for answer in answers:
                message = answer.message
                id_ = message.id if isinstance(message, JSONRPCResponse | JSONRPCError) else None
                if id_ is not None and id_ == self._answered_id:
                    self._answered_id = None
                    continue
                await self._write(message.model_dump_json(by_alias=True, exclude_unset=True))
                if id_ is not None:
                    self._has_answer.set()
                    if self._delivery.has_undelivered:
                        self._unread.append((self._output.sent, id_))
                        self._has_unread.set()

    async def _write(self, text: str) -> None:
        async with self._writing:
            await self._output.write(f"{text}\n".encode())

    async def note_read(self, *, is_followed: bool = False) -> None:
        """Report to `Delivery` which answers were read.

        `is_followed`: a message of the client has come now.
        """
        async with self._noting:
            while self._unread and self._unread[0][0] <= self._output.read(is_followed=is_followed):
                await self._delivery.answer_read(self._unread.popleft()[1])

    async def watch(self) -> None:
        """Report what a client has read that sends no further message.

        Runs until it is canceled.
        """
        while True:
            await self._has_unread.wait()
            self._has_unread = anyio.Event()
            while self._unread:
                await anyio.sleep(_PAUSE)
                await self.note_read()


async def read_lines(descriptor: int, received: bytes = b"") -> AsyncGenerator[str, None]:
    """UTF-8 lines from a descriptor, after the bytes that were `received` from it.

    Invalid bytes become U+FFFD.
    """
    waits = can_be_waited_for(descriptor)
    unfinished = bytearray(received)
    while True:
        while (end := unfinished.find(b"\n") + 1) > 0:
            yield unfinished[:end].decode("utf-8", "replace")
            del unfinished[:end]
        if waits:
            await anyio.wait_readable(descriptor)
            data = os.read(descriptor, _CHUNK)
        else:
            data = await anyio.to_thread.run_sync(
                os.read, descriptor, _CHUNK, abandon_on_cancel=True
            )
        if not data:
            break
        unfinished += data
    if unfinished:
        yield unfinished.decode("utf-8", "replace")


class _Output:
    """Writes bytes to a descriptor, waits while the other side does not read, and tells what that
    has read.

    `sent` are the bytes written so far.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waits = can_be_waited_for(descriptor)
        self._is_pipe = self._waits and stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        self._read = 0
        self.sent = 0

    async def write(self, data: bytes) -> None:
        """Write all of `data`; raises `ConnectionError` if the other side is closed."""
        left = memoryview(data)
        while left:
            if sys.platform != "win32" and self._waits:
                await anyio.wait_writable(self._descriptor)
                # A write of this many bytes does not block then (POSIX).
                written = os.write(self._descriptor, left[: select.PIPE_BUF])
            else:
                written = await anyio.to_thread.run_sync(
                    os.write, self._descriptor, left, abandon_on_cancel=True
                )
            self.sent += written
            left = left[written:]

    def read(self, *, is_followed: bool) -> int:
        """How many bytes of `sent` the other side has read, or fewer.

        Only Linux tells it, of pipes and of sockets that are open. Elsewhere it is all of them if a
        message of the other side has followed now.
        """
        if sys.platform != "linux" or not self._waits:
            self._read = self.sent if is_followed else self._read
        else:
            count = termios.FIONREAD if self._is_pipe else termios.TIOCOUTQ
            waiting = int.from_bytes(fcntl.ioctl(self._descriptor, count, bytes(4)), sys.byteorder)
            # Looked at after that: a socket that is closed forgets what was not read.
            if self._is_pipe or not self._is_hung_up():
                self._read = self.sent - waiting
        return self._read

    def _is_hung_up(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, 0)
        return bool(poll.poll(0))
