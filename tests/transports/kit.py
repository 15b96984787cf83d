"""The HTTP server with a sandbox behind it, all on real sockets, and clients of every kind."""

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from starlette.types import ASGIApp

from kallyai_mcp.cli.serve_auth import ServeOptions
from kallyai_mcp.cli.serve_http import build_app
from kallyai_mcp.sandbox.app import SandboxApp, create_app
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.settings import Settings
from kallyai_mcp.transports.uvicorn_server import serve_app
from tests.agent import Agent, settings_in
from tests.sandbox.manual_clock import ManualClock

LIMIT = 30
"""Seconds until something that should have happened counts as hung."""

CALL = {
    "task_category": "general",
    "task_description": "Ask for the opening hours",
    "respondent_phone": "+12025550100",
}
ENTRANCES = ["auto", "legacy", "sse"]
"""The ways in: `/mcp` in both eras, and `/sse`."""


class World:
    """A KallyAI that our servers use; its calls last until `hang_up`."""

    def __init__(self, app: SandboxApp, url: str, clock: ManualClock, home: Path) -> None:
        self.app = app
        self.url = url
        self.clock = clock
        self.home = home

    def token(self, account: str = "acct-personal", scopes: list[str] | None = None) -> str:
        token: str = self.app.state.sandbox.issue_tokens(account, scopes)["access_token"]
        return token

    def settings(self, **environment: str) -> Settings:
        """Settings of a server that is signed in as the personal account."""
        given = {
            "API_URL": self.url,
            "ACCESS_TOKEN": self.token(),
            "WAIT_SECONDS": "0",
            "CONFIRM": "never",
        } | environment
        return settings_in(self.home, **given)

    def hang_up(self) -> None:
        self.clock.advance(minutes=10)

    async def calls(self) -> list[dict[str, Any]]:
        """What was really placed."""
        async with httpx2.AsyncClient() as client:
            calls: list[dict[str, Any]] = (await client.get(f"{self.url}/_sandbox/calls")).json()["calls"]
        return calls

    async def rung(self, number: int = 1) -> list[dict[str, Any]]:
        """Wait until so many calls were placed."""
        with anyio.fail_after(LIMIT):
            while len(calls := await self.calls()) < number:
                await anyio.lowlevel.checkpoint()
        return calls


@asynccontextmanager
async def world_in(home: Path) -> AsyncIterator[World]:
    clock = ManualClock(datetime.now(UTC))
    clock.hold()
    app = create_app(clock=clock)
    try:
        async with running(app) as url:
            yield World(app, url, clock, home)
    finally:
        app.state.sandbox.close()


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """`app` on a free port; yields its base URL."""
    urls: list[str] = []
    up = anyio.Event()

    def ready(url: str) -> None:
        urls.append(url)
        up.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(serve_app, app, "127.0.0.1", 0, ready=ready))
        with anyio.fail_after(LIMIT):
            await up.wait()
        yield urls[0]
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def serving(settings: Settings, *, auth: str = "none") -> AsyncIterator[str]:
    """Our server; yields its base URL."""
    async with served(build_app(settings, ServeOptions("127.0.0.1", 0, auth, sandbox=False, speed=1))) as url:
        yield url


@dataclass(frozen=True)
class Via:
    """How a client connects.

    Attributes:
        host: The name by which it calls the server; None for the URL's.
        trust: Whom it trusts when it speaks TLS; None for the usual authorities.
        address: Its own address.
    """

    host: str | None = None
    trust: ssl.SSLContext | None = None
    address: str | None = None

    def client(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        """A client, as the SDK wants to have it made."""
        named = {"Host": self.host} if self.host is not None else {}
        transport = httpx2.AsyncHTTPTransport(verify=self.trust or True, local_address=self.address)
        return httpx2.AsyncClient(
            headers=named | (headers or {}), timeout=timeout or LIMIT, auth=auth, transport=transport
        )


DIRECTLY = Via()


@asynccontextmanager
async def visiting(
    url: str, entrance: str = "auto", *, token: str | None = None, via: Via = DIRECTLY
) -> AsyncIterator[Agent]:
    """An agent that comes in by `entrance`, with `token` as its bearer."""
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    async with AsyncExitStack() as stack:
        if entrance == "sse":
            client = Client(sse_client(f"{url}/sse", headers=headers, httpx_client_factory=via.client), mode="legacy")
        else:
            http = await stack.enter_async_context(via.client(headers))
            client = Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=entrance)
        yield Agent(await stack.enter_async_context(client))


def initialize(number: int = 1) -> dict[str, Any]:
    """The first message of a client of the 2025 era."""
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "tests", "version": "1"},
    }
    return {"jsonrpc": "2.0", "id": number, "method": "initialize", "params": params}


ACCEPT = {"Accept": "application/json, text/event-stream"}
"""What a client of Streamable HTTP takes."""


async def knock(url: str, headers: dict[str, str] | None = None, *, via: Via = DIRECTLY) -> httpx2.Response:
    """One request to `/mcp`, as a client of the 2025 era would begin."""
    async with via.client() as client:
        return await client.post(f"{url}/mcp", json=initialize(), headers=ACCEPT | (headers or {}))
