"""A load balancer as a transport of the SDK's HTTP client: a seed chooses the worker for each request."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Protocol

import httpx2

ADDRESS = "http://127.0.0.1:9/mcp"
"""The URL that clients connect to; the load balancer puts a worker's port in."""

_BAD_GATEWAY = 502


class Upstream(Protocol):
    """A worker behind the load balancer; `port` is None while it does not run."""

    name: str
    port: int | None


class LoadBalancer(httpx2.AsyncBaseTransport):
    """Sends a request to one of the workers, and to another one if that refuses the connection.

    Like nginx, it never repeats a request that was sent: when the worker dies, the client gets a 502, or the end of the
    stream if that had begun.

    Args:
        workers: Where requests can go.
        rng: Chooses among them.
        note: Called with a line for each tool call that is sent to a worker.

    Attributes:
        first: The worker for the next tool call; None for any.
    """

    def __init__(self, workers: Sequence[Upstream], rng: random.Random, note: Callable[[str], object]) -> None:
        self._workers = workers
        self._rng = rng
        self._note = note
        self._transport = httpx2.AsyncHTTPTransport(trust_env=False)
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
                response = await self._transport.handle_async_request(sent)
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
        await self._transport.aclose()

    def _order(self, tool: str | None) -> list[Upstream]:
        order = self._rng.sample(self._workers, len(self._workers))
        if tool is not None and self.first is not None:
            order.sort(key=lambda worker: worker is not self.first)
            self.first = None
        return order


def _tool(request: httpx2.Request) -> str | None:
    """The tool that the request calls; None if it is another request."""
    message = json.loads(request.content) if request.method == "POST" else {}
    return message["params"]["name"] if message.get("method") == "tools/call" else None
