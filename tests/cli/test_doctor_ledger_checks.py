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
from kallyai_mcp.cli.network_folders import mounts_of_linux, mounts_of_macos
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
        assert ledger["fix"].startswith("make it writable, or set KALLYAI_HOME")
        assert ledger["fix"].endswith("until then no call is placed")


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
    monkeypatch.setenv("KALLYAI_SECRET_KEYS", "0123456789abcdef" * 4)
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


@pytest.mark.parametrize(
    ("platform", "real", "mounts", "kind"),
    [
        ("linux", "/home/ada/kallyai", [("/", "ext4"), ("/home", "nfs4")], "nfs4"),
        ("linux", "/home/ada/kallyai", [("/", "nfs4"), ("/home", "ext4")], None),
        ("linux", "/homework/kallyai", [("/", "ext4"), ("/home", "nfs4")], None),
        ("darwin", "/Volumes/My Files/kallyai", [("/", "apfs"), ("/Volumes/My Files", "smbfs")], "smbfs"),
        ("win32", r"\\server\ada\kallyai", [], "SMB"),
        ("win32", r"\\?\UNC\server\ada\kallyai", [], "SMB"),
        ("win32", r"\\?\C:\Users\ada\kallyai", [], None),
        ("win32", r"C:\Users\ada\kallyai", [], None),
    ],
)
def test_a_home_in_a_network_folder_is_a_warning(
    kallyai_home: Path, platform: str, real: str, mounts: list[tuple[str, str]], kind: str | None
) -> None:
    machine = Machine(platform, {}, kallyai_home.parent, lambda _: real, lambda: mounts)

    found = check_ledger(Settings.from_env(), machine)

    if kind is None:
        assert (found.verdict, found.fix) == ("ok", None)
    else:
        assert (found.verdict, found.fix) == ("warning", "set KALLYAI_HOME to a folder on a local disk")
        assert f"it is in a network folder ({kind})" in found.message
    assert not list(kallyai_home.parent.glob("kallyai-doctor-*"))


def test_what_is_mounted_is_read_as_each_system_lists_it() -> None:
    linux = "server:/x /mnt/my\\040files nfs4 rw,vers=4.2 0 0\nproc /proc proc rw 0 0\nbroken\n"
    macos = (
        "/dev/disk3s1s1 on / (apfs, sealed, local)\n"
        "//ada@server/My%20Files on /Volumes/My Files (1) (smbfs, nodev, nosuid, mounted by ada)\n"
    )

    assert mounts_of_linux(linux) == [("/mnt/my files", "nfs4"), ("/proc", "proc")]
    assert mounts_of_macos(macos) == [("/", "apfs"), ("/Volumes/My Files (1)", "smbfs")]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other locks")
def test_a_folder_without_locks_is_reported_before_there_is_a_ledger(
    kallyai_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fcntl.flock", lambda *_: None)

    found = check_ledger(Settings.from_env())

    assert found.verdict == "bad"
    assert "locks have no effect in its folder, as in some network folders" in found.message
    assert found.fix is not None
    assert "set KALLYAI_HOME to a folder on a local disk; until then no call is placed" in found.fix
    assert not list(kallyai_home.parent.glob("kallyai-doctor-*"))


def test_on_windows_the_home_is_outside_of_the_folders_that_are_private_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")

    assert Settings().home == Path.home() / ".kallyai-mcp"
