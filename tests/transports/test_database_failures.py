"""A PostgreSQL database that is dead, is restarted, and hangs.

Without its ledger a server places no call, and reading from KallyAI still works.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx2
import pytest

from kallyai_mcp.transports import asgi_app
from tests.agent import Agent, Answer
from tests.postgres_server import PostgresServer
from tests.transports.http_server import (
    CALL,
    LIMIT,
    SECRET_KEYS,
    RunningSandbox,
    connected_agent,
    running_server,
)

REDIAL = CALL | {"redial": True, "wait_seconds": 0}
OUTAGES = ["is dead", "hangs"]


@dataclass(frozen=True)
class Phone:
    """A server whose ledger is in `postgres`, and a call of it that has ended."""

    sandbox: RunningSandbox
    postgres: PostgresServer
    url: str
    agent: Agent
    tracking_id: str
    call_id: str

    @asynccontextmanager
    async def without_database(self, outage: str) -> AsyncIterator[None]:
        """The database is dead or hangs; after the block the server is ready again."""
        begin, end = {
            "is dead": (self.postgres.kill, self.postgres.start),
            "hangs": (self.postgres.pause, self.postgres.resume),
        }[outage]
        # Else the server may forget that the last call was told, and tell it again.
        self.postgres.execute("CHECKPOINT")
        begin()
        try:
            yield
        finally:
            end()
        with anyio.fail_after(LIMIT):
            while (await self.readiness()).status_code != 200:
                await anyio.lowlevel.checkpoint()

    async def readiness(self) -> httpx2.Response:
        async with httpx2.AsyncClient(timeout=LIMIT) as client:
            return await client.get(f"{self.url}/ready")

    async def use(self, tool: str, **arguments: object) -> Answer:
        with anyio.fail_after(LIMIT):
            return await self.agent.use(tool, arguments)


@pytest.fixture(scope="module")
def postgres(new_data: Path) -> Iterator[PostgresServer]:
    with PostgresServer(new_data=new_data) as server:
        yield server


@pytest.fixture(scope="module")
async def phone(sandbox: RunningSandbox, postgres: PostgresServer) -> AsyncIterator[Phone]:
    settings = sandbox.settings(DATABASE_URL=postgres.create_database(), SECRET_KEYS=SECRET_KEYS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asgi_app, "REMEMBER_SECONDS", 0)  # of `/ready`
        async with running_server(settings) as url, connected_agent(url) as agent:
            placed = await agent.use("make_call", CALL, wait_seconds=0)
            id_ = placed.data["tracking_id"]
            await sandbox.wait_for_calls()
            sandbox.end_calls()
            ended = await agent.use("get_call", call_id=id_, wait_seconds=LIMIT)
            yield Phone(sandbox, postgres, url, agent, id_, ended.data["call_id"])


@pytest.mark.parametrize("outage", OUTAGES)
async def test_without_its_database_a_server_calls_nobody(phone: Phone, outage: str) -> None:
    before = await phone.sandbox.calls()

    async with phone.without_database(outage):
        refused = await phone.use("make_call", **REDIAL)

    assert refused.is_error
    assert refused.text.startswith("Not called")
    assert await phone.sandbox.calls() == before


async def test_without_its_database_kallyais_calls_are_read(phone: Phone) -> None:
    async with phone.without_database("is dead"):
        listed = await phone.use("list_calls")
        call = await phone.use("get_call", call_id=phone.call_id)

    assert phone.call_id in [entry["call_id"] for entry in listed.data["calls"]]
    assert listed.text.startswith("This program's record of calls can't be read now")
    assert call.data["status"] == "success"


@pytest.mark.parametrize("outage", OUTAGES)
async def test_without_its_database_the_quota_is_read(phone: Phone, outage: str) -> None:
    async with phone.without_database(outage):
        quota = await phone.use("check_quota")

    assert quota.data["minutes_allocated"] == 210


async def test_only_the_database_knows_a_tracking_id(phone: Phone) -> None:
    async with phone.without_database("is dead"):
        unknown = await phone.use("get_call", call_id=phone.tracking_id)
    known = await phone.use("get_call", call_id=phone.tracking_id)

    assert unknown.is_error
    assert known.data["call_id"] == phone.call_id


async def test_a_server_without_its_database_is_not_ready(phone: Phone) -> None:
    async with phone.without_database("hangs"):
        readiness = await phone.readiness()

    assert readiness.status_code == 503
    assert readiness.json()["checks"] == {"api": "ok", "ledger": "unreachable"}


@pytest.mark.parametrize("outage", OUTAGES)
async def test_after_an_outage_a_call_is_placed(phone: Phone, outage: str) -> None:
    before = await phone.sandbox.calls()

    async with phone.without_database(outage):
        pass
    placed = await phone.use("make_call", **REDIAL)
    calls = await phone.sandbox.wait_for_calls(len(before) + 1)
    phone.sandbox.end_calls()
    await phone.use("get_call", call_id=placed.data["tracking_id"], wait_seconds=LIMIT)

    assert placed.data["status"] == "in_progress"
    assert len(calls) == len(before) + 1
