"""A PostgreSQL database that is dead, or hangs, or is restarted.

Without its ledger a server places no call, and reading from KallyAI still works.
"""

from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2

from tests.agent import Agent, Answer
from tests.postgres_server import PostgresServer
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
    assert [entry["call_id"] for entry in listed.data["calls"]] == [ended.data["call_id"]]
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

    async def use(agent: Agent, tool: str, **arguments: Any) -> None:
        answers[tool] = await agent.use(tool, **arguments)

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
    assert len(calls_while_hanging) == 1
    assert placed.data["status"] == "in_progress"
    assert len(calls) == 2
    assert ready_again.status_code == 200
