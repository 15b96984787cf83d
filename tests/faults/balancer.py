"""A plain load balancer, as a client of the SDK's sees one: each request goes to whichever worker the seed chooses."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Protocol

import httpx2

ADDRESS = "http://127.0.0.1:9/mcp"
"""What clients are told to connect to; the balancer takes the request to a worker's own port."""

_BAD_GATEWAY = 502


class Upstream(Protocol):
    """A worker behind the balancer; `port` is None while it doesn't run."""

    name: str
    port: int | None


class Balancer(httpx2.AsyncBaseTransport):
    """Takes a request to one of the workers, and to another one if that takes no connection.

    A request that has left is not sent again, as nginx would not: when its worker dies with it, the client gets a 502,
    or the end of a stream that had begun.

    Args:
        workers: Where requests can go.
        rng: Chooses among them.
        note: Told of each tool call, and where it goes.

    Attributes:
        pinned: Who gets all requests meanwhile, if anybody.
        first: Who gets the next tool call, if anybody in particular.
    """

    def __init__(self, workers: Sequence[Upstream], rng: random.Random, note: Callable[[str], object]) -> None:
        self._workers = workers
        self._rng = rng
        self._note = note
        self._wire = httpx2.AsyncHTTPTransport(trust_env=False)
        self.pinned: Upstream | None = None
        self.first: Upstream | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request."""
        tool = _tool(request)
        for worker in self._order(tool):
            if worker.port is None:
                continue
            sent = httpx2.Request(
                request.method,
                request.url.copy_with(port=worker.port),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
            if tool is not None:
                self._note(f"{tool} goes to {worker.name}")
            try:
                response = await self._wire.handle_async_request(sent)
                if response.headers.get("content-type", "").startswith("application/json"):
                    await response.aread()
            except httpx2.ConnectError:
                continue
            except httpx2.TransportError:
                break
            return response
        return httpx2.Response(_BAD_GATEWAY)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._wire.aclose()

    def _order(self, tool: str | None) -> list[Upstream]:
        if self.pinned is not None:
            return [self.pinned]
        order = self._rng.sample(self._workers, len(self._workers))
        if tool is not None and self.first is not None:
            order.sort(key=lambda worker: worker is not self.first)
            self.first = None
        return order


def _tool(request: httpx2.Request) -> str | None:
    """Which tool the request calls."""
    message = json.loads(request.content) if request.method == "POST" else {}
    return message["params"]["name"] if message.get("method") == "tools/call" else None
