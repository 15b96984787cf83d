"""Two neighboring versions on one ledger: while servers are updated one after another, and when the
older one is put back.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx2
import pytest

from kallyai_mcp.settings import Settings
from kallyai_mcp.testing import KallyAISandbox
from tests.calls.neighbor import PACKAGE, make_breaking_version, make_next_version, run_version
from tests.postgres_server import PostgresDatabases
from tests.transports.http_server import (
    CALL,
    LIMIT,
    SECRET_KEYS,
    RunningSandbox,
    connected_agent,
    running_server,
)

pytestmark = pytest.mark.programs

THIS = PACKAGE.parent
TASKS = ("Ask for the hours", "Ask for the menu")


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_settings(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The settings of a new ledger: none for the file in a home, or an empty database."""
    if request.param == "sqlite":
        yield {}
        return
    postgres: PostgresDatabases = request.getfixturevalue("postgres")
    url = postgres.create_database()
    yield {"DATABASE_URL": url, "SECRET_KEYS": SECRET_KEYS}
    postgres.drop_database(url)


def called(folder: Path, home: Path, settings: dict[str, str], task: str) -> dict[str, Any]:
    """The result of a call that a version is asked for."""
    words = ("call", "+12025550100", task, "--yes", "--json")
    found: dict[str, Any] = json.loads(run_version(folder, home, *words, **settings))
    return found


def test_neighboring_versions_share_a_ledger(
    ledger_settings: dict[str, str], kallyai_sandbox: KallyAISandbox, tmp_path: Path
) -> None:
    following = make_next_version(tmp_path / "next")
    given = {name.removeprefix("KALLYAI_"): one for name, one in kallyai_sandbox.env.items()}
    ask = partial(called, home=tmp_path / "home", settings=given | ledger_settings)
    first = ask(THIS, task=TASKS[0])
    same = ask(following, task=TASKS[0])
    second = ask(following, task=TASKS[1])
    again = ask(THIS, task=TASKS[1])

    assert (same["call_id"], same["placed_now"]) == (first["call_id"], False)
    assert (again["call_id"], again["placed_now"]) == (second["call_id"], False)
    assert len(kallyai_sandbox.calls) == 2


async def migrate(folder: Path, settings: Settings) -> None:
    """Let the version in a folder use the ledger of a server that runs."""
    own = {"DATABASE_URL": settings.database_url or "", "SECRET_KEYS": SECRET_KEYS}
    use = partial(run_version, folder, settings.home, "admin", "calls", **own)
    await anyio.to_thread.run_sync(use)


async def test_a_server_goes_on_beside_the_next_version(
    sandbox: RunningSandbox, ledger_settings: dict[str, str], tmp_path: Path
) -> None:
    following = make_next_version(tmp_path / "next")
    settings = replace(sandbox.settings(**ledger_settings), home=tmp_path / "home")
    async with running_server(settings) as url, connected_agent(url) as agent:
        before = await agent.use("make_call", CALL)
        await sandbox.wait_for_calls()
        await migrate(following, settings)
        sandbox.end_calls()
        told = await agent.use("get_call", call_id=before.data["tracking_id"], wait_seconds=LIMIT)
        after = await agent.use("make_call", CALL | {"task_description": "Ask for the menu"})

    assert told.data["status"] == "success"
    assert after.data["placed_now"]


async def test_a_server_stops_beside_a_breaking_version(
    sandbox: RunningSandbox, ledger_settings: dict[str, str], tmp_path: Path
) -> None:
    following = make_breaking_version(tmp_path / "next")
    settings = replace(sandbox.settings(**ledger_settings), home=tmp_path / "home")
    placed = len(await sandbox.calls())
    async with running_server(settings) as url, connected_agent(url) as agent:
        await agent.use("list_calls")
        await migrate(following, settings)
        refused = await agent.use("make_call", CALL)
        async with httpx2.AsyncClient() as client:
            ready = await client.get(f"{url}/ready?check=ledger")

    assert refused.text.startswith("Not called: ")
    assert (refused.data["code"], refused.data["placed"]) == ("outdated", "no")
    assert ready.status_code == 503
    assert len(await sandbox.calls()) == placed
