"""The HTTP server with a sandbox behind it, both on real sockets, and MCP clients for every
transport.
"""

import secrets
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from starlette.applications import Starlette

from kallyai_mcp.cli.serve_http import build_app
from kallyai_mcp.sandbox.app import SandboxApp, create_app
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.settings import Auth, Settings
from kallyai_mcp.transports.uvicorn_server import serve_app
from tests.agent import Agent, settings_in
from tests.sandbox.manual_clock import ManualClock

LIMIT = 120
"""Seconds after which a test gives up waiting."""

CALL = {
    "task_category": "general",
    "task_description": "Ask for the opening hours",
    "respondent_phone": "+12025550100",
}
SECRET_KEYS = secrets.token_hex(32)
"""`KALLYAI_SECRET_KEYS`, which servers that share a database need."""

CONNECTIONS = ["auto", "legacy", "sse"]
"""How a client can connect: to `/mcp` with the protocol of 2026 ("auto") or of 2025 ("legacy"), and
to `/sse`.
"""


async def wait_until(is_true: Callable[[], bool]) -> None:
    """Wait until something is true that no event tells."""
    with anyio.fail_after(LIMIT):
        while not is_true():  # noqa: ASYNC110
            await anyio.sleep(0.01)


class RunningSandbox:
    """A sandbox that the servers of a test use; its calls last until `end_calls`."""

    def __init__(self, app: SandboxApp, url: str, clock: ManualClock, home: Path) -> None:
        self.app = app
        self.url = url
        self.clock = clock
        self.home = home
        self._news = anyio.Event()
        app.state.sandbox.report = self._tell

    def token(self, account: str = "acct-personal", scopes: list[str] | None = None) -> str:
        token: str = self.app.state.sandbox.issue_tokens(account, scopes)["access_token"]
        return token

    def settings(self, **environment: str) -> Settings:
        """Settings of a server that is signed in as the personal account, overridden by
        `environment`.
        """
        given = {
            "API_URL": self.url,
            "ACCESS_TOKEN": self.token(),
            "WAIT_SECONDS": "0",
            "CONFIRM": "never",
        }
        return settings_in(self.home, **given | environment)

    def end_calls(self) -> None:
        """Let the time pass that the calls in progress take.

        A call counts as that of a request only if it began at most ten seconds before; so the clock
        jumps by less.
        """
        self.clock.advance(seconds=2)

    async def calls(self) -> list[dict[str, Any]]:
        """All calls that were placed, as the sandbox has them."""
        async with httpx2.AsyncClient() as client:
            calls: list[dict[str, Any]] = (await client.get(f"{self.url}/_sandbox/calls")).json()[
                "calls"
            ]
        return calls

    async def wait_for_calls(self, number: int = 1) -> list[dict[str, Any]]:
        """Wait until `number` calls were placed; returns all."""
        with anyio.fail_after(LIMIT):
            while True:
                news = self._news
                if len(calls := await self.calls()) >= number:
                    return calls
                await news.wait()

    def _tell(self, _: str) -> None:
        """Wake everything that waits in `wait_for_calls`: the sandbox has just placed a call."""
        self._news.set()
        self._news = anyio.Event()


@asynccontextmanager
async def running_sandbox(home: Path) -> AsyncIterator[RunningSandbox]:
    clock = ManualClock(datetime.now(UTC))
    clock.hold()
    app = create_app(clock=clock, speed=50)
    try:
        async with running(app) as url:
            yield RunningSandbox(app, url, clock, home)
    finally:
        app.state.sandbox.close()


@asynccontextmanager
async def running_app(app: Starlette, port: int = 0) -> AsyncIterator[str]:
    """Serve `app` on a port of 127.0.0.1, 0 for a free one; yields its base URL."""
    async with serve_app(app, "127.0.0.1", port) as url:
        yield url


@asynccontextmanager
async def running_server(settings: Settings, *, auth: Auth = "none") -> AsyncIterator[str]:
    """Serve our own app with these settings; yields its base URL."""
    async with running_app(build_app(replace(settings, auth=auth), "127.0.0.1")) as url:
        yield url


@dataclass(frozen=True)
class ClientOptions:
    """How a client connects.

    Attributes:
        host: The `Host` header that it sends; None for the URL's.
        trust: Its trusted certificates for TLS; None for the usual ones.
        address: The address that it connects from; None for any.
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
        """Make an HTTP client; has the signature of the SDK's `httpx_client_factory`."""
        named = {"Host": self.host} if self.host is not None else {}
        transport = httpx2.AsyncHTTPTransport(verify=self.trust or True, local_address=self.address)
        return httpx2.AsyncClient(
            headers=named | (headers or {}),
            timeout=timeout or LIMIT,
            auth=auth,
            transport=transport,
        )


DEFAULT_OPTIONS = ClientOptions()


@asynccontextmanager
async def connected_agent(
    url: str,
    connection: str = "auto",
    *,
    token: str | None = None,
    options: ClientOptions = DEFAULT_OPTIONS,
) -> AsyncIterator[Agent]:
    """An agent that connects in the way `connection` says, with `token` as its bearer token."""
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    async with AsyncExitStack() as stack:
        if connection == "sse":
            client = Client(
                sse_client(f"{url}/sse", headers=headers, httpx_client_factory=options.client),
                mode="legacy",
            )
        else:
            http = await stack.enter_async_context(options.client(headers))
            client = Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=connection)
        yield Agent(await stack.enter_async_context(client))


def initialize() -> dict[str, Any]:
    """The first message of a client with the protocol of 2025."""
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "tests", "version": "1"},
    }
    return {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}


ACCEPT = {"Accept": "application/json, text/event-stream"}
"""The `Accept` header that Streamable HTTP demands."""


async def post_initialize(
    url: str, headers: dict[str, str] | None = None, *, options: ClientOptions = DEFAULT_OPTIONS
) -> httpx2.Response:
    """Send an `initialize` request to `/mcp`; returns the HTTP response."""
    async with options.client() as client:
        return await client.post(f"{url}/mcp", json=initialize(), headers=ACCEPT | (headers or {}))
