"""What list_calls shows of the ledger, on both drivers: bookings, and that the ledger can't be read."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, Agent, open_agent, settings_in
from tests.postgres_server import PostgresDatabases
from tests.sandbox.manual_clock import ManualClock


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    if request.param == "sqlite":
        yield settings_in(tmp_path)
        return
    postgres: PostgresDatabases = request.getfixturevalue("postgres")
    url = postgres.create_database()
    yield settings_in(tmp_path, DATABASE_URL=url, SECRET_KEYS="0123456789abcdef" * 4)
    postgres.drop_database(url)


def execute(settings: Settings, statement: str) -> None:
    """Run a statement in the ledger's database, as another program."""
    if settings.database_url is None:
        with closing(sqlite3.connect(settings.home / "ledger.db")) as file, file:
            file.execute(statement)
    else:
        with psycopg.connect(settings.database_url, autocommit=True) as server:
            server.execute(statement.encode())


def spoil(settings: Settings) -> None:
    """Replace the ledger's file by one that is no database."""
    for file in settings.home.glob("ledger.db*"):
        if file.is_file():
            file.unlink()
    (settings.home / "ledger.db").write_text("Not a database, and too long to be taken for an empty one. " * 20)


@pytest.fixture
async def agent(settings: Settings, clock: ManualClock, app: SandboxApp) -> AsyncIterator[Agent]:
    async with open_agent(settings, mode="auto", clock=clock, app=app) as agent:
        yield agent


async def test_a_list_without_the_ledger_says_what_may_be_missing(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    """With PostgreSQL, `tests/transports/test_database_failures.py` shows the same."""
    async with open_agent(settings_in(tmp_path), mode="auto", clock=clock, app=app) as agent:
        await agent.use("make_call", BISTRO)
        spoil(settings_in(tmp_path))
        listed = await agent.use("list_calls")

    assert not listed.is_error
    assert listed.text.startswith("This program's record of calls can't be read now")
    assert "  answered*  Italian Bistro" in listed.text


async def test_an_error_of_this_program_in_the_ledger_is_not_taken_for_an_outage(
    agent: Agent, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    await agent.use("make_call", BISTRO)
    execute(settings, "ALTER TABLE call_lists RENAME COLUMN ended_at TO ended")

    listed = await agent.use("list_calls")

    assert listed.is_error
    assert "record of calls" not in listed.text
    assert "ended_at" in caplog.text
