"""Two servers that share a PostgreSQL database."""

from itertools import cycle
from pathlib import Path

import anyio
import httpx2
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitRequestParams, ElicitResult

from tests.agent import Agent
from tests.transports.http_server import (
    CALL,
    LIMIT,
    SECRET_KEYS,
    running_sandbox,
    running_server,
)


class RoundRobin(httpx2.AsyncBaseTransport):
    """Sends each request to the next of several servers, as a load balancer does.

    Attributes:
        ports: The port that each tool call was sent to.
    """

    def __init__(self, *urls: str) -> None:
        self._next_ports = cycle(httpx2.URL(url).port for url in urls)
        self._transport = httpx2.AsyncHTTPTransport(trust_env=False)
        self.ports: list[int | None] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        port = next(self._next_ports)
        if b"tools/call" in await request.aread():
            self.ports.append(port)
        request.url = request.url.copy_with(port=port)
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        await self._transport.aclose()


async def test_a_question_of_one_server_is_answered_on_the_other(tmp_path: Path, database_url: str) -> None:
    async def accept(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:  # noqa: ARG001
        return ElicitResult(action="accept", content={"call_now": True})

    async with running_sandbox(tmp_path) as sandbox:
        settings = sandbox.settings(DATABASE_URL=database_url, SECRET_KEYS=SECRET_KEYS, CONFIRM="always")
        async with running_server(settings) as one, running_server(settings) as other:
            balancer = RoundRobin(one, other)
            with anyio.fail_after(LIMIT):
                async with (
                    httpx2.AsyncClient(transport=balancer, timeout=LIMIT) as http,
                    Client(
                        streamable_http_client(f"{one}/mcp", http_client=http), elicitation_callback=accept
                    ) as client,
                ):
                    placed = await Agent(client).use("make_call", CALL, wait_seconds=0)
                    await sandbox.wait_for_calls()

    assert placed.data["status"] == "in_progress"
    assert len(set(balancer.ports)) == 2
