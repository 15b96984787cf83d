"""Joins writes to a connection, because each takes the system some microseconds and wakes the client."""

import asyncio
from typing import Any


class JoinedWrites:
    """A connection that joins all writes of one turn of the event loop.

    uvicorn writes the head and the body of a response separately, and uvloop sends each at once.

    Args:
        transport: The connection.
        loop: The event loop.
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write `data` at the end of this turn."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting += data

    def close(self) -> None:
        """Close the connection after everything is written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._waiting and not self._transport.is_closing():
            self._transport.write(self._waiting)
        self._waiting = b""
