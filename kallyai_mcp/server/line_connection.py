"""One client that sends a JSON-RPC message in each line, with what the SDK does not do for it.

* A line that is no message is answered with an error (JSON-RPC 2.0, section 5.1). The SDK drops it, and the client
  would wait for ever.
* `initialize` may follow `server/discover`. Some clients wait only a second for the answer to `server/discover`, while
  the server may still start, and then send `initialize`. The SDK refuses this on a connection whose first message was
  of the version 2026-07-28.
* An outcome is delivered when the client has read the answer with it.
"""

import json
import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from typing import Protocol

import anyio
from mcp.types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

from kallyai_mcp.calls.delivery import Delivery

_FIRST_LOOK, _LONGEST_PAUSE = 0.05, 60.0
"""Seconds until it is looked whether an answer was read, and between two looks. Most clients read at once."""

Write = Callable[[str], Awaitable[None]]
"""Writes a message to a client."""


class Output(Protocol):
    """Where the messages to a client are written. `sent` is how much was written so far, in any unit."""

    sent: int

    def read(self, *, is_followed: bool) -> int:
        """How much of `sent` the client has read, or less. `is_followed`: a message of the client has come now."""


class LineConnection:
    """The lines of one client as successive connections for the SDK, and a writer to the client.

    If `initialize` follows only `server/discover`, the lines end before it, after the answers were written. Reading the
    lines again begins with `initialize`.

    Without `output`, the client counts as having read an answer when it is written.

    Attributes:
        is_over: Whether the client has sent its last line.
    """

    def __init__(self, lines: AsyncIterable[str], write: Write, delivery: Delivery, output: Output | None) -> None:
        delivery.awaits_reading = output is not None
        self._lines = aiter(lines)
        self._write = write
        self._delivery = delivery
        self._output = output
        self._initialize: str | None = None
        self._open_discoveries = 0
        self._has_answered = anyio.Event()
        self._writing = anyio.Lock()
        self._noting = anyio.Lock(fast_acquire=True)
        self._unread: deque[tuple[int, object]] = deque()
        """Where the answers that were written and may have an outcome end, each with the id of its request."""
        self._has_unread = anyio.Event()
        self.is_over = False

    async def __aiter__(self) -> AsyncGenerator[str, None]:
        """The lines of one connection of the SDK."""
        only_discovers, discoveries = self._initialize is None, 0
        if self._initialize is not None:
            yield self._initialize
            self._initialize = None
        async for line in self._lines:
            await self.note_read(is_followed=True)
            if (message := _message_in(line)) is None:
                if (error := await self._answer_invalid(line)) is not None:
                    yield error
                continue
            method = message.method if isinstance(message, JSONRPCRequest) else None
            if method == "initialize" and only_discovers and discoveries:
                while self._open_discoveries:
                    self._has_answered = anyio.Event()
                    await self._has_answered.wait()
                self._initialize = line
                return
            only_discovers = only_discovers and method == "server/discover"
            discoveries += only_discovers
            self._open_discoveries += only_discovers
            yield line
        self.is_over = True

    async def write(self, text: str) -> None:
        """Write a message to the client."""
        async with self._writing:
            await self._write(text)
            if not self._open_discoveries and not self._delivery.has_unread:
                return
            message = json.loads(text)
            if "method" in message:
                return
            if self._output is not None and self._delivery.has_unread:
                self._unread.append((self._output.sent, message.get("id")))
                self._has_unread.set()
            self._open_discoveries = max(0, self._open_discoveries - 1)
            self._has_answered.set()

    async def flush(self) -> None:
        """Do nothing: `write` has no buffer."""

    async def note_read(self, *, is_followed: bool = False) -> None:
        """Report to `Delivery` which answers were read. `is_followed`: a message of the client has come now."""
        if self._output is None:
            return
        async with self._noting:
            while self._unread and self._unread[0][0] <= self._output.read(is_followed=is_followed):
                await self._delivery.read(self._unread.popleft()[1])

    async def watch(self) -> None:
        """Report what a client has read that sends no further message. Runs until it is canceled."""
        pause = math.inf
        while True:
            with anyio.move_on_after(pause):
                await self._has_unread.wait()
                self._has_unread = anyio.Event()
                pause = _FIRST_LOOK
                continue
            await self.note_read()
            pause = min(2 * pause, _LONGEST_PAUSE) if self._unread else math.inf

    async def _answer_invalid(self, line: str) -> str | None:
        """Answer a line that is no message; or return an error for the SDK in its place.

        A response that is not valid is not answered: the client could take the error for the response to its own
        request with the same id. The SDK gets the error, so that the code that waits for the response goes on.
        """
        if not line.strip():
            return None
        parsed = None
        code, words = INVALID_REQUEST, "Invalid request: not one JSON-RPC 2.0 message of MCP"
        try:
            parsed = json.loads(line)
            json.dumps(parsed, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            code, words = PARSE_ERROR, "Parse error: not JSON, or text with half a surrogate pair, or nested too deeply"
        message = parsed if isinstance(parsed, dict) else {}
        id_ = message["id"] if type(message.get("id")) in (int, str) else None
        error = json.dumps({"jsonrpc": "2.0", "id": id_, "error": {"code": code, "message": words}}) + "\n"
        if id_ is not None and "method" not in message:
            return error
        await self.write(error)
        return None


def _message_in(line: str) -> JSONRPCMessage | None:
    """The message in a line; None if it has none, or one with an id that no id may be, which the SDK ignores."""
    try:
        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError:
        return None
    has_id = isinstance(message, JSONRPCNotification) and '"id"' in line and "id" in json.loads(line)
    return None if has_id else message
