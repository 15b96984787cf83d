"""Two servers on one PostgreSQL database behind nginx, each a process of its own."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx2
import pytest

from tests.transports.certificates import Certificate
from tests.transports.http_server import (
    ACCEPT,
    CALL,
    CONNECTIONS,
    LIMIT,
    SECRET_KEYS,
    ClientOptions,
    RunningSandbox,
    connected_agent,
    post_initialize,
    running_sandbox,
)
from tests.transports.nginx import NAME, PROGRAM, nginx
from tests.transports.workers import uvicorn

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is not this machine"),
    pytest.mark.skipif(
        PROGRAM is None, reason="there is no nginx here (Debian: apt-get install nginx-light)"
    ),
]


@dataclass(frozen=True)
class Site:
    """Two servers behind nginx, and how a client connects to them."""

    sandbox: RunningSandbox
    url: str
    options: ClientOptions
    token: str


@asynccontextmanager
async def site(folder: Path, database_url: str) -> AsyncIterator[Site]:
    certificate = Certificate(folder, NAME)
    async with running_sandbox(folder) as sandbox:
        settings = {
            "DATABASE_URL": database_url,
            "SECRET_KEYS": SECRET_KEYS,
            "API_URL": sandbox.url,
            "AUTH": "caller",
        }
        settings |= {
            "PUBLIC_URL": f"https://{NAME}",
            "ALLOWED_HOSTS": NAME,
            "LOG_LEVEL": "INFO",
            "WAIT_SECONDS": "0",
        }
        settings["TRUSTED_PROXIES"] = "127.0.0.1"
        async with (
            uvicorn(folder, workers=1, **settings) as one,
            uvicorn(folder, workers=1, **settings) as two,
            nginx(folder, certificate, one.port, two.port) as url,
        ):
            options = ClientOptions(NAME, certificate.client_context())
            yield Site(sandbox, url, options, sandbox.token("acct-business"))


async def a_canceled_request_ends_without_a_late_result(site: Site) -> None:
    bearer = {"Authorization": f"Bearer {site.token}"}
    # If a message could reach any server, half of these would not be canceled.
    for number in range(4):
        session = (await post_initialize(site.url, bearer, options=site.options)).headers[
            "mcp-session-id"
        ]
        headers = (
            ACCEPT | bearer | {"MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": session}
        )
        so_far = len(await site.sandbox.calls())
        answers: list[str] = []

        async def make_call(
            http: httpx2.AsyncClient, description: str, answers: list[str] = answers
        ) -> None:
            arguments = CALL | {"task_description": description, "wait_seconds": 45}
            params = {"name": "make_call", "arguments": arguments}
            message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
            answers.append((await http.post(f"{site.url}/mcp", json=message)).text)

        async with site.options.client(headers) as http, anyio.create_task_group() as tasks:
            tasks.start_soon(make_call, http, f"Canceled {number}")
            await site.sandbox.wait_for_calls(so_far + 1)
            canceled = {
                "jsonrpc": "2.0",
                "method": "notifications/cancelled",
                "params": {"requestId": 7},
            }
            await http.post(f"{site.url}/mcp", json=canceled)
        assert "Request cancelled" in answers[0]


async def an_sse_session_stays_with_one_server(site: Site) -> None:
    # If a message could reach any server, half of them would find no session.
    for number in range(2, 8):
        options = ClientOptions(NAME, site.options.trust, f"127.0.0.{number}")
        async with connected_agent(site.url, "sse", token=site.token, options=options) as agent:
            for _ in range(2):
                assert not (await agent.use("list_calls")).is_error


async def a_call_can_be_placed_and_followed(site: Site, connection: str) -> None:
    so_far = len(await site.sandbox.calls())
    async with connected_agent(
        site.url, connection, token=site.token, options=site.options
    ) as agent:
        quota = await agent.use("check_quota")
        placed = await agent.use(
            "make_call", CALL | {"task_description": connection}, wait_seconds=0
        )
        await site.sandbox.wait_for_calls(so_far + 1)
        site.sandbox.end_calls()
        ended = await agent.use("get_call", call_id=placed.data["tracking_id"], wait_seconds=45)
    assert not quota.is_error
    assert ended.data["status"] == "success"


async def clients_are_counted_by_their_own_addresses(site: Site) -> None:
    guesser = ClientOptions(NAME, site.options.trust, "127.0.0.254")
    forged = {"X-Forwarded-For": "127.0.0.1", "Authorization": "Bearer wrong"}
    guesses: list[int] = []
    while 429 not in guesses and len(guesses) < 50:
        guesses.append((await post_initialize(site.url, forged, options=guesser)).status_code)
    other = await post_initialize(
        site.url, {"Authorization": f"Bearer {site.sandbox.token()}"}, options=site.options
    )
    assert guesses == [401] * (len(guesses) - 1) + [429]
    assert 20 < len(guesses) <= 41  # each of the two servers allows 20
    assert other.status_code == 200


async def test_two_servers_behind_nginx_act_as_one(tmp_path: Path, database_url: str) -> None:
    with anyio.fail_after(2 * LIMIT):
        async with site(tmp_path, database_url) as two_servers:
            for connection in CONNECTIONS:
                await a_call_can_be_placed_and_followed(two_servers, connection)
            await a_canceled_request_ends_without_a_late_result(two_servers)
            await an_sse_session_stays_with_one_server(two_servers)
            await clients_are_counted_by_their_own_addresses(two_servers)
