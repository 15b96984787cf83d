"""Fixtures of most tests: a clock that tests set, a sandbox, and an agent."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from tests.agent import Agent, open_agent, settings_in
from tests.chromium import chromium, chromium_address
from tests.postgres_server import database_url, new_data, own_database, own_postgres, postgres
from tests.sandbox.manual_clock import ManualClock
from tests.sandbox.sandbox_app import sandbox_app

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
    """An agent of the sandbox; each test that uses it runs in both protocol generations."""
    async with open_agent(settings, mode=mode, clock=clock, app=app) as agent:
        yield agent
