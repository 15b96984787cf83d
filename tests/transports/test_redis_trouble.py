"""A Redis that hangs, and one that is spoken to over TLS."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx2

from tests.agent import Agent, Answer
from tests.processes import free_port
from tests.redis_server import RedisServer
from tests.transports.certificates import Certificate
from tests.transports.http_server import CALL, LIMIT, connected_agent, post_initialize, running_sandbox, running_server


@asynccontextmanager
async def hanging_redis() -> AsyncIterator[str]:
    """What takes connections, and whatever is sent, and never answers."""

    async def take(client: anyio.abc.SocketStream) -> None:
        async with client:
            async for _ in client:
                pass

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, take)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - not Django's
        yield f"redis://127.0.0.1:{port}/0"
        tasks.cancel_scope.cancel()


async def test_with_a_redis_that_hangs_nothing_is_dialled_and_reading_still_works(tmp_path: Path) -> None:
    answers: dict[str, Answer] = {}
    took: dict[str, float] = {}

    async def use(agent: Agent, tool: str, **arguments: Any) -> None:
        begin = time.monotonic()
        answers[tool] = await agent.use(tool, **arguments)
        took[tool] = time.monotonic() - begin

    async with running_sandbox(tmp_path) as sandbox, hanging_redis() as redis:
        async with (
            running_server(sandbox.settings(REDIS_URL=redis)) as url,
            httpx2.AsyncClient(timeout=LIMIT) as client,
        ):
            with anyio.fail_after(LIMIT):
                async with connected_agent(url) as agent, anyio.create_task_group() as tasks:
                    tasks.start_soon(partial(use, agent, "make_call", **CALL, wait_seconds=0))
                    tasks.start_soon(use, agent, "check_quota")
                    ready = await client.get(f"{url}/ready")
        calls = await sandbox.calls()

    assert answers["make_call"].is_error
    assert answers["make_call"].text.startswith("Not called")
    assert "did not answer in time" in answers["make_call"].text
    assert answers["check_quota"].data["minutes_remaining"] == 165
    assert ready.status_code == 503
    assert ready.json()["checks"] == {"api": "ok", "ledger": "unreachable"}
    assert calls == []
    assert took["check_quota"] < took["make_call"] < 8
    assert ready.elapsed.total_seconds() < took["make_call"]


async def test_redis_can_be_spoken_to_over_tls_and_is_not_without_trust(tmp_path: Path) -> None:
    certificate, port = Certificate(tmp_path, "redis.example.com"), free_port()
    files = ["--tls-cert-file", str(certificate.path), "--tls-key-file", str(certificate.key_path)]
    server = RedisServer(tmp_path, "--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no", *files)
    server.start()
    address = f"rediss://127.0.0.1:{port}/0"
    try:
        async with running_sandbox(tmp_path) as sandbox:
            trusting = sandbox.settings(REDIS_URL=f"{address}?ssl_ca_certs={certificate.path}", RATE_LIMIT="5/hour")
            with anyio.fail_after(LIMIT):
                async with running_server(trusting) as url, connected_agent(url) as agent:
                    placed = await agent.use("make_call", CALL, wait_seconds=0)
                    await sandbox.wait_for_calls()
                    codes = [(await post_initialize(url)).status_code for _ in range(6)]
                async with running_server(sandbox.settings(REDIS_URL=address)) as url, connected_agent(url) as agent:
                    refused = await agent.use("make_call", CALL, wait_seconds=0, redial=True)
            calls = await sandbox.calls()
    finally:
        server.kill()

    assert placed.data["status"] == "in_progress"
    assert 429 in codes
    assert refused.text.startswith("Not called")
    assert len(calls) == 1
