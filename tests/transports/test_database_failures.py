"""A PostgreSQL database that is dead, is restarted, and hangs.

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
    connected_agent,
    running_sandbox,
    running_server,
)


async def test_without_its_database_a_server_calls_nobody_until_it_is_back(
    tmp_path: Path, own_postgres: PostgresServer
) -> None:
    hanging: dict[str, Answer] = {}

    async def use(agent: Agent, tool: str, **arguments: Any) -> None:
        hanging[tool] = await agent.use(tool, **arguments)

    async with running_sandbox(tmp_path) as sandbox, httpx2.AsyncClient(timeout=LIMIT) as client:
        settings = sandbox.settings(
            DATABASE_URL=own_postgres.create_database(), SECRET_KEYS=SECRET_KEYS
        )
        with anyio.fail_after(3 * LIMIT):
            async with running_server(settings) as url, connected_agent(url) as agent:
                id_ = (await agent.use("make_call", CALL, wait_seconds=0)).data["tracking_id"]
                await sandbox.wait_for_calls()
                sandbox.end_calls()
                ended = await agent.use("get_call", call_id=id_, wait_seconds=LIMIT)
                own_postgres.kill()
                refused = await agent.use("make_call", CALL, redial=True, wait_seconds=0)
                quota = await agent.use("check_quota")
                listed = await agent.use("list_calls")
                call = await agent.use("get_call", call_id=ended.data["call_id"])
                tracked = await agent.use("get_call", call_id=id_)
                own_postgres.start()
                kept = await agent.use("get_call", call_id=id_)
                own_postgres.pause()
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(
                        partial(use, agent, "make_call", **CALL, redial=True, wait_seconds=0)
                    )
                    tasks.start_soon(use, agent, "check_quota")
                    ready = await client.get(f"{url}/ready")
                calls_before = await sandbox.calls()
                own_postgres.resume()
                placed = await agent.use("make_call", CALL, redial=True, wait_seconds=0)
                calls = await sandbox.wait_for_calls(2)
                ready_again = await client.get(f"{url}/ready")

    assert refused.is_error
    assert hanging["make_call"].is_error
    assert all(answer.text.startswith("Not called") for answer in (refused, hanging["make_call"]))
    assert (
        quota.data["minutes_allocated"] == hanging["check_quota"].data["minutes_allocated"] == 210
    )
    assert [entry["call_id"] for entry in listed.data["calls"]] == [ended.data["call_id"]]
    assert listed.text.startswith("This program's record of calls can't be read now")
    assert call.data["status"] == "success"
    assert tracked.is_error  # only the ledger knows a tracking id
    assert kept.data["call_id"] == ended.data["call_id"]
    assert (ready.status_code, ready.json()["checks"]) == (
        503,
        {"api": "ok", "ledger": "unreachable"},
    )
    assert (len(calls_before), len(calls)) == (1, 2)
    assert placed.data["status"] == "in_progress"
    assert ready_again.status_code == 200
