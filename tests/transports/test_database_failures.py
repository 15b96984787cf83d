"""A PostgreSQL database that is dead, or hangs, or is restarted, and one that demands TLS.

Without its ledger a server places no call, and reading from KallyAI still works.
"""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import anyio
import httpx2
import pytest

from tests.agent import Agent, Answer
from tests.postgres_server import PostgresServer, skip_without_server
from tests.transports.certificates import Certificate
from tests.transports.http_server import (
    CALL,
    LIMIT,
    SECRET_KEYS,
    RunningSandbox,
    connected_agent,
    running_sandbox,
    running_server,
)


async def place_and_end_call(agent: Agent, sandbox: RunningSandbox) -> tuple[str, Answer]:
    """The tracking id of a call, and its outcome."""
    placed = await agent.use("make_call", CALL, wait_seconds=0)
    await sandbox.wait_for_calls()
    sandbox.end_calls()
    id_ = placed.data["tracking_id"]
    return id_, await agent.use("get_call", call_id=id_, wait_seconds=LIMIT)


async def test_with_a_dead_database_nothing_is_called_until_it_is_back(
    tmp_path: Path, own_postgres: PostgresServer
) -> None:
    async with running_sandbox(tmp_path) as sandbox:
        settings = sandbox.settings(DATABASE_URL=own_postgres.create_database(), SECRET_KEYS=SECRET_KEYS)
        with anyio.fail_after(2 * LIMIT):
            async with running_server(settings) as url, connected_agent(url) as agent:
                id_, ended = await place_and_end_call(agent, sandbox)
                own_postgres.kill()
                refused = await agent.use("make_call", CALL, redial=True, wait_seconds=0)
                quota = await agent.use("check_quota")
                listed = await agent.use("list_calls")
                call = await agent.use("get_call", call_id=ended.data["call_id"])
                tracked = await agent.use("get_call", call_id=id_)
                calls_while_dead = await sandbox.calls()
                own_postgres.start()
                kept = await agent.use("get_call", call_id=id_)
                placed = await agent.use("make_call", CALL, redial=True, wait_seconds=0)
                calls = await sandbox.wait_for_calls(2)

    assert refused.is_error
    assert refused.text.startswith("Not called")
    assert not quota.is_error
    assert [entry["status"] for entry in listed.data["calls"]] == ["success"]
    assert listed.text.startswith("This program's record of calls can't be read now")
    assert call.data["status"] == "success"
    assert tracked.is_error  # only the ledger knows a tracking id
    assert len(calls_while_dead) == 1
    assert kept.data["call_id"] == ended.data["call_id"]
    assert placed.data["status"] == "in_progress"
    assert len(calls) == 2


async def test_with_a_hanging_database_nothing_is_called_until_it_answers(
    tmp_path: Path, own_postgres: PostgresServer
) -> None:
    answers: dict[str, Answer] = {}
    seconds: dict[str, float] = {}

    async def use(agent: Agent, tool: str, **arguments: Any) -> None:
        begin = time.monotonic()
        answers[tool] = await agent.use(tool, **arguments)
        seconds[tool] = time.monotonic() - begin

    async with running_sandbox(tmp_path) as sandbox, httpx2.AsyncClient(timeout=LIMIT) as client:
        settings = sandbox.settings(DATABASE_URL=own_postgres.create_database(), SECRET_KEYS=SECRET_KEYS)
        with anyio.fail_after(2 * LIMIT):
            async with running_server(settings) as url, connected_agent(url) as agent:
                await place_and_end_call(agent, sandbox)
                own_postgres.pause()
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(partial(use, agent, "make_call", **CALL, redial=True, wait_seconds=0))
                    tasks.start_soon(use, agent, "check_quota")
                    ready = await client.get(f"{url}/ready")
                calls_while_hanging = await sandbox.calls()
                own_postgres.resume()
                placed = await agent.use("make_call", CALL, redial=True, wait_seconds=0)
                calls = await sandbox.wait_for_calls(2)
                ready_again = await client.get(f"{url}/ready")

    assert answers["make_call"].is_error
    assert answers["make_call"].text.startswith("Not called")
    assert answers["check_quota"].data["minutes_allocated"] == 210
    assert ready.status_code == 503
    assert ready.json()["checks"] == {"api": "ok", "ledger": "unreachable"}
    assert seconds["check_quota"] < seconds["make_call"] < 12
    assert ready.elapsed.total_seconds() < seconds["make_call"]
    assert len(calls_while_hanging) == 1
    assert placed.data["status"] == "in_progress"
    assert len(calls) == 2
    assert ready_again.status_code == 200


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate(tmp_path, "postgres.example.com")


@pytest.fixture
def tls_postgres(certificate: Certificate) -> Iterator[PostgresServer]:
    skip_without_server()
    with PostgresServer(certificate=(certificate.path, certificate.key_path)) as server:
        yield server


async def test_a_database_over_tls_is_used_only_if_its_certificate_is_trusted(
    tmp_path: Path, tls_postgres: PostgresServer, certificate: Certificate
) -> None:
    async with running_sandbox(tmp_path) as sandbox:

        async def place(**parameters: object) -> Answer:
            database_url = f"{tls_postgres.url()}?{urlencode(parameters)}"
            settings = sandbox.settings(DATABASE_URL=database_url, SECRET_KEYS=SECRET_KEYS)
            async with running_server(settings) as url, connected_agent(url) as agent:
                return await agent.use("make_call", CALL, wait_seconds=0)

        with anyio.fail_after(2 * LIMIT):
            untrusted = await place(sslmode="verify-full", sslrootcert="system")
            unencrypted = await place(sslmode="disable")
            placed = await place(sslmode="verify-full", sslrootcert=certificate.path)
            calls = await sandbox.wait_for_calls()

    assert untrusted.text.startswith("Not called")
    assert unencrypted.text.startswith("Not called")
    assert placed.data["status"] == "in_progress"
    assert len(calls) == 1
