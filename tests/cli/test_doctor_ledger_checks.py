"""The checks of `doctor` on the ledger and its calls."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio.to_thread
import pytest

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.cli.clients.known import Machine
from kallyai_mcp.cli.doctor_ledger_checks import ledger as check_ledger
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.settings import Settings
from tests.calls.ledgers import kept_record
from tests.cli.doctor_run import (
    UNREACHABLE,
    app,
    checks_in,
    home,
    kallyai_home,
    run_doctor,
    run_here,
    sign_in,
)
from tests.cli.machine import invoke
from tests.postgres_server import PostgresServer
from tests.processes import free_port

__all__ = ["app", "home", "kallyai_home"]


def stuck_record(account: AccountKey, state: CallState, minutes: float) -> CallRecord:
    return CallRecord(
        tracking_id=f"t-{state.value}",
        account=account,
        fingerprint=state.value,
        submission=Submission(task_category="general", task_description="Ask", respondent_phone="+12025550100"),
        timezone="UTC",
        worker="0000beef",
        state=state,
        placed_at=datetime.now(UTC) - timedelta(minutes=minutes),
    )


def test_a_ledger_that_can_not_be_written_is_reported(kallyai_home: Path, app: SandboxApp) -> None:
    sign_in(kallyai_home, UNREACHABLE, app)
    (kallyai_home / "ledger.db").write_text("Not a database, and too long to be taken for an empty one. " * 20)
    no_database = run_here()["ledger"]
    (kallyai_home / "ledger.db").unlink()
    (kallyai_home / "ledger.db").mkdir()
    found = run_here()
    folder = found["ledger"]

    assert found["stuck_calls"]["status"] == "skipped"
    for ledger in (no_database, folder):
        assert ledger["status"] == "bad"
        assert str(kallyai_home / "ledger.db") in ledger["message"]
        assert ledger["fix"] == "make it writable; until then no call is placed"


def test_a_home_folder_that_can_not_be_created_is_reported(kallyai_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kallyai_home.touch()
    monkeypatch.setenv("KALLYAI_HOME", str(kallyai_home / "below"))
    found = run_here()

    assert found["ledger"]["status"] == "bad"
    assert f"{kallyai_home / 'below' / 'ledger.db'} can't be written" in found["ledger"]["message"]
    assert "KALLYAI_HOME" in found["ledger"]["fix"]
    assert found["token_store"]["status"] == "bad"
    assert found["sign_in"]["status"] == "skipped"


@pytest.fixture
def shared_database(kallyai_home: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> str:
    """The URL of a database that the settings name."""
    assert not kallyai_home.exists()
    monkeypatch.setenv("KALLYAI_DATABASE_URL", database_url)
    monkeypatch.setenv("KALLYAI_SECRET_KEYS", "11" * 32)
    return database_url


@pytest.mark.usefixtures("shared_database")
def test_a_shared_database_is_described() -> None:
    ledger = run_here()["ledger"]

    assert ledger["status"] == "ok"
    assert ledger["message"].startswith("PostgreSQL (KALLYAI_DATABASE_URL) can be written, version ")
    assert ledger["version"].split(".")[0].isdecimal()
    assert (ledger["fsync"], ledger["synchronous_commit"]) == ("on", "on")
    assert ledger["abandoned_calls"] is False


async def test_calls_of_a_worker_that_has_ended_are_reported(shared_database: str) -> None:
    account = AccountKey(UNREACHABLE, "account")
    await kept_record(shared_database, stuck_record(account, CallState.SENT, 1))

    ledger = (await anyio.to_thread.run_sync(run_here))["ledger"]

    assert ledger["status"] == "ok"
    assert ledger["abandoned_calls"] is True
    assert "calls of a worker that has ended" in ledger["message"]


@pytest.mark.usefixtures("shared_database")
def test_a_database_that_can_not_be_reached_is_reported_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_DATABASE_URL", f"postgresql://user:hush-hush@127.0.0.1:{free_port()}/calls")
    result = invoke("doctor", "--json")

    found = checks_in(result.stdout)
    assert found["ledger"]["status"] == "bad"
    assert found["ledger"]["message"].startswith("The ledger's database can't be used")
    assert "see that it runs" in found["ledger"]["fix"]
    assert found["settings"]["settings"]["KALLYAI_DATABASE_URL"] == {"value": "set", "source": "environment"}
    assert "hush" not in result.output


@pytest.mark.usefixtures("shared_database")
def test_a_shared_database_without_keys_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KALLYAI_SECRET_KEYS")

    ledger = run_here()["ledger"]

    assert ledger["status"] == "bad"
    assert "needs KALLYAI_SECRET_KEYS" in ledger["message"]


@pytest.mark.usefixtures("shared_database")
def test_a_database_that_may_lose_calls_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with PostgresServer(settings={"fsync": "off"}) as server:
        monkeypatch.setenv("KALLYAI_DATABASE_URL", server.create_database())
        ledger = run_here()["ledger"]

    assert ledger["status"] == "bad"
    assert "fsync = off" in ledger["message"]


async def test_stuck_calls_are_listed_with_a_way_to_settle_them(home: Path, app: SandboxApp) -> None:
    kallyai_home = home / "kallyai"
    async with running(app) as url:
        account = AccountKey(url, sign_in(kallyai_home, url, app).account)
        for state, minutes in ((CallState.UNKNOWN, 1), (CallState.SENT, 20), (CallState.RESERVED, 1)):
            await kept_record(kallyai_home / "ledger.db", stuck_record(account, state, minutes))
        done = await run_doctor(kallyai_home, url, "--json")

    stuck = checks_in(done.stdout)["stuck_calls"]
    assert done.returncode == 1
    assert {row["tracking_id"] for row in stuck["stuck"]} == {"t-unknown", "t-sent"}
    assert stuck["in_progress"] == 1
    assert "t-unknown (unknown, placed 1 min" in stuck["message"]
    assert "get_call" in stuck["fix"]
    assert "+12025550100" not in done.stdout


def test_a_home_that_a_packaged_program_sees_for_itself_is_reported(kallyai_home: Path) -> None:
    def real_path(path: str) -> str:
        return path.replace(kallyai_home.name, r"Packages\Claude_x\LocalCache\Local\kallyai")

    found = check_ledger(Settings.from_env(), Machine("win32", {}, kallyai_home.parent, real_path))

    assert found.verdict == "bad"
    assert "is a private copy that only this program sees" in found.message
    assert found.fix == "set KALLYAI_HOME to a folder outside of AppData"


def test_on_windows_the_home_is_outside_of_the_folders_that_are_private_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")

    assert Settings().home == Path.home() / ".kallyai-mcp"
