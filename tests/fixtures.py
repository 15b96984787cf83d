"""Fixtures of most tests: a clock that tests set, an agent, a ledger, and a sandbox.

Where a test for a new rule begins: for what is written, with `ledger`; for what a tool says, with
`agent`; for what a client gets over HTTP, with `sandbox`. What a rule decides from values alone
needs no fixture.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest

from kallyai_mcp.calls.ledger.base import Database, Ledger
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from tests.agent import Agent, open_agent, settings_in
from tests.calls.ledgers import database_at, opened
from tests.chromium import chromium, chromium_address
from tests.postgres_server import database_url, new_data, own_database, own_postgres, postgres
from tests.sandbox.manual_clock import ManualClock
from tests.sandbox.sandbox_app import sandbox_app
from tests.transports.http_server import RunningSandbox, running_sandbox

__all__ = [
    "chromium",
    "chromium_address",
    "database_url",
    "new_data",
    "own_database",
    "own_postgres",
    "postgres",
]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"  # uvicorn supports no other


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 25, 15, 30, tzinfo=UTC))


@pytest.fixture
def app(clock: ManualClock) -> Iterator[SandboxApp]:
    with sandbox_app(clock=clock) as app:
        yield app


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    """The two protocol generations: 2026-07-28 by discovery, 2025-11-25 by handshake."""
    mode: str = request.param
    return mode


@pytest.fixture
async def agent(
    settings: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> AsyncIterator[Agent]:
    """An agent of the sandbox `app`; each test that uses it runs in both protocol generations.

    For example:

        async def test_a_busy_line_reached_nobody(agent: Agent) -> None:
            answer = await agent.use("make_call", BISTRO, respondent_phone=NUMBERS["busy"])

            assert answer.data["outcome"] == "not_reached"
    """
    async with open_agent(settings, mode=mode, clock=clock, app=app) as agent:
        yield agent


class Now(Protocol):
    """A clock that tests set, of which a ledger needs only the time."""

    def now(self) -> datetime: ...


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a ledger is that nobody has opened yet: each test runs with a file of SQLite, and with
    a database of PostgreSQL.

    It is for what happens between processes, or when a ledger is opened. For example:

        async def test_a_record_is_there_for_the_next_process(place: str) -> None:
            async with opened(place) as ledger:
                record = await reserved(ledger, asked())
            async with opened(place) as ledger:
                assert await state_of(ledger, record) is CallState.RESERVED

    `tests.calls.ledgers` has `opened`, and `tests.calls.world` a whole process on a place.
    """
    if request.param == "sqlite":
        return str(tmp_path / "home" / "ledger.db")
    url: str = request.getfixturevalue("database_url")
    return url


@pytest.fixture
async def database(place: str, clock: Now) -> AsyncIterator[Database]:
    """The database at `place`, with the time of `clock`."""
    async with aclosing(database_at(place, clock.now)) as database:
        yield database


@pytest.fixture
async def ledger(place: str, clock: Now) -> AsyncIterator[Ledger]:
    """The ledger at `place`, with the time of `clock`: each test runs with both databases.

    For example, with records of `tests.calls.ledgers`:

        async def test_a_call_that_was_sent_is_not_canceled(ledger: Ledger) -> None:
            record = await sent(ledger, asked())

            assert not await ledger.handle(ACCOUNT, Cancel(record.tracking_id))
            assert await state_of(ledger, record) is CallState.SENT
    """
    async with opened(place, clock.now) as ledger:
        yield ledger


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningSandbox]:
    """KallyAI on a real port, one for all tests of a module; its calls last until the test ends
    them.

    For example, with the servers and agents of `tests.transports.http_server`:

        async def test_a_call_is_told_when_it_has_ended(sandbox: RunningSandbox) -> None:
            async with running_server(sandbox.settings()) as url, connected_agent(url) as agent:
                placed = await agent.use("make_call", CALL)
                await sandbox.wait_for_calls()
                sandbox.end_calls()
                id_ = placed.data["tracking_id"]
                ended = await agent.use("get_call", call_id=id_, wait_seconds=LIMIT)

            assert ended.data["status"] == "success"
    """
    async with running_sandbox(tmp_path_factory.mktemp("home")) as sandbox:
        yield sandbox
