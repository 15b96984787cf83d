"""A wire between a ledger and Redis that loses what a test tells it to lose."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import SocketAttribute, SocketStream

_LOST = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)


class Wire:
    """Passes bytes both ways; a connection that loses something breaks.

    Attributes:
        url: Where the wire is taken hold of.
        lose_answers: How many requests with this word in them lose their answer.
        hold: How many of them do not reach Redis before `deliver`.
        is_dead: Nothing passes any more, and nothing breaks.
    """

    def __init__(self, port: int, word: bytes) -> None:
        self._port = port
        self._word = word
        self._held: list[bytes] = []
        self.url = ""
        self.lose_answers = 0
        self.hold = 0
        self.is_dead = False

    async def deliver(self) -> list[bytes]:
        """Redis gets what was held back; returns what it answers to each."""
        answers = []
        for request in self._held:
            async with await anyio.connect_tcp("127.0.0.1", self._port) as redis:
                await redis.send(request)
                answers.append(await redis.receive())
        self._held.clear()
        return answers

    async def connect(self, client: SocketStream) -> None:
        """Pass on what one client sends, and what it is answered."""
        lost = anyio.Event()

        async def there() -> None:
            async for request in client:
                if self.is_dead:
                    continue
                if self._word in request and self.hold:
                    self.hold -= 1
                    self._held.append(request)
                    break
                if self._word in request and self.lose_answers:
                    self.lose_answers -= 1
                    lost.set()
                await redis.send(request)
            tasks.cancel_scope.cancel()

        async def back() -> None:
            async for answer in redis:
                if lost.is_set():
                    break
                await client.send(answer)
            tasks.cancel_scope.cancel()

        async def quietly(way: Callable[[], Awaitable[None]]) -> None:
            with suppress(*_LOST):
                await way()

        with suppress(*_LOST):
            async with (
                client,
                await anyio.connect_tcp("127.0.0.1", self._port) as redis,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(quietly, there)
                tasks.start_soon(quietly, back)


@asynccontextmanager
async def wire(port: int, *, word: bytes) -> AsyncIterator[Wire]:
    """A wire to the Redis on `port`; `word` marks the requests that it may lose."""
    made = Wire(port, word)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        taken = listener.extra(SocketAttribute.local_port)  # noqa: S610 - not Django's
        made.url = f"redis://127.0.0.1:{taken}/0"
        tasks.start_soon(listener.serve, made.connect)
        yield made
        tasks.cancel_scope.cancel()
