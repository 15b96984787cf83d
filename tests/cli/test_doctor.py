"""`doctor`, on a machine where all is well, and on machines with one problem each."""

import hashlib
import json
import socket
import sqlite3
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.testing import KallyAISandbox
from tests.cli.machine import invoke, move_home, sign_in, write_file
from tests.processes import free_port
from tests.sandbox.manual_clock import ManualClock
from tests.sandbox.sandbox_app import sandbox_app

ENTRY = {"command": sys.executable, "args": ["-m", "kallyai_mcp"]}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, kallyai_sandbox: KallyAISandbox, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`KALLYAI_HOME`, in a home folder of its own, of a user of the sandbox who has not signed
    in.
    """
    folder = move_home(monkeypatch, tmp_path / "home") / "kallyai"
    monkeypatch.setenv("KALLYAI_HOME", str(folder))
    monkeypatch.setenv("KALLYAI_TOKEN_STORE", "file")
    monkeypatch.setenv("KALLYAI_API_URL", kallyai_sandbox.url)
    return folder


def checks() -> dict[str, dict[str, Any]]:
    """The checks of `doctor`, the last one of each kind."""
    result = invoke("doctor", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == int(not document["ok"])
    assert document["ok"] == all(check["status"] != "bad" for check in document["checks"])
    return {check["check"]: check for check in document["checks"]}


def test_doctor_says_how_to_begin() -> None:
    fresh = checks()

    assert (
        fresh["sign_in"]["message"]
        == "nobody is signed in; the first call asks, or `kallyai-mcp login` does it"
    )
    assert {name for name, check in fresh.items() if check["status"] == "ok"} == {
        "program",
        "calls",
        "api",
        "ledger",
    }


@pytest.mark.parametrize(
    ("setting", "told", "fix"),
    [
        ("on", "KallyAI is told to say that it is an AI", None),
        (
            "off",
            "KallyAI is not told to say that it is an AI, so it may not say it",
            "remove KALLYAI_DISCLOSURE",
        ),
    ],
)
def test_doctor_says_what_callees_are_told(
    monkeypatch: pytest.MonkeyPatch, setting: str, told: str, fix: str | None
) -> None:
    monkeypatch.setenv("KALLYAI_DISCLOSURE", setting)

    assert checks()["calls"] == {"check": "calls", "status": "ok", "message": told, "fix": fix}


@pytest.mark.usefixtures("home")
def test_doctor_says_that_calls_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_STOP_CALLS", "1")

    assert checks()["calls"] == {
        "check": "calls",
        "status": "bad",
        "message": "no call is placed: KALLYAI_STOP_CALLS is set",
        "fix": "remove KALLYAI_STOP_CALLS",
    }


@pytest.fixture
def good(home: Path, kallyai_sandbox: KallyAISandbox) -> Tokens:
    """A machine where all is well; the tokens of its user."""
    write_file("cursor", json.dumps({"mcpServers": {"kallyai": ENTRY}}))
    tokens = sign_in(home, kallyai_sandbox)
    assert invoke("calls").exit_code == 0
    return tokens


@pytest.mark.usefixtures("good")
def test_doctor_says_that_all_is_well(kallyai_sandbox: KallyAISandbox) -> None:
    result = invoke("doctor")
    found = checks()

    assert result.exit_code == 0, result.output
    *lines, last = result.stdout.splitlines()
    names = ["program", "calls", "sign_in", "api", "ledger", "client"]
    assert [[line.split()[1] for line in lines], list(found)] == [names, names]
    assert last == "All is well."
    assert {check["status"] for check in found.values()} == {"ok"}
    assert [found[name]["message"] for name in ("sign_in", "api")] == [
        "signed in as personal@sandbox.test",
        f"{kallyai_sandbox.url} answers; the clocks agree",
    ]


@pytest.mark.usefixtures("good")
def test_doctor_changes_no_file(home: Path) -> None:
    def hashes() -> dict[str, str]:
        files = (path for path in home.parent.rglob("*") if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = hashes()
    invoke("doctor")

    assert hashes() == before


def test_doctor_prints_no_token(good: Tokens) -> None:
    printed = invoke("doctor").output + invoke("doctor", "--json").output

    for secret in (good.access_token, good.refresh_token):
        assert secret is not None
        assert secret.get_secret_value() not in printed


def test_doctor_reports_a_sign_in_that_has_ended(
    home: Path, kallyai_sandbox: KallyAISandbox
) -> None:
    sign_in(home, kallyai_sandbox, refresh_token=None, expires_at=time.time() - 1)

    assert checks()["sign_in"]["message"] == "the sign-in has ended and can't be renewed"


def test_doctor_names_what_serve_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_AUTH", "oauth")
    monkeypatch.setenv("KALLYAI_CLIENT_ID", "phone")
    lacking = checks()["serve"]
    monkeypatch.setenv("KALLYAI_AUTH", "caller")
    served = checks()["serve"]

    assert (
        "needs KALLYAI_CLIENT_SECRET, KALLYAI_SECRET_KEYS, KALLYAI_PUBLIC_URL (docs/h"
        in lacking["message"]
    )
    assert [lacking["status"], served["status"]] == ["bad", "ok"]


def test_doctor_asks_no_service_on_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_SANDBOX", "1")
    found = checks()

    assert [found[name]["status"] for name in ("sign_in", "api")] == ["skipped", "skipped"]


def test_with_an_unknown_setting_doctor_checks_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_WAIT_SECOND", "5")
    found = checks()

    assert found["settings"]["message"].startswith("KALLYAI_WAIT_SECOND: there is no such setting")
    assert list(found) == ["program", "settings", "client"]


def test_doctor_says_that_it_is_too_old(home: Path) -> None:
    checks()
    with closing(sqlite3.connect(home / "ledger.db")) as ledger, ledger:
        ledger.execute("INSERT INTO schema_needs VALUES (99)")
    found = checks()["ledger"]

    assert "A newer version of kallyai-mcp has changed the ledger" in found["message"]
    assert found["fix"].startswith("install the newest version")


def test_doctor_reports_an_unwritable_ledger(home: Path) -> None:
    (home / "ledger.db").mkdir(parents=True)
    folder = checks()["ledger"]
    (home / "ledger.db").rmdir()
    (home / "ledger.db").write_text(
        "Not a database, and too long to be taken for an empty one. " * 20
    )
    for ledger in (folder, checks()["ledger"]):
        assert ledger["status"] == "bad"
        assert str(home / "ledger.db") in ledger["message"]


async def test_doctor_reports_no_service_and_wrong_clocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with sandbox_app(clock=ManualClock(datetime.now(UTC) - timedelta(minutes=10))) as app:
        async with running(app) as url:
            monkeypatch.setenv("KALLYAI_API_URL", url)
            clock = (await anyio.to_thread.run_sync(checks))["api"]
    monkeypatch.setenv("KALLYAI_API_URL", "http://127.0.0.1:9")
    refused = (await anyio.to_thread.run_sync(checks))["api"]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("KALLYAI_API_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr("kallyai_mcp.cli.doctor._SECONDS", 0.2)
        waited = (await anyio.to_thread.run_sync(checks))["api"]

    assert "can't be reached" in refused["message"]
    assert clock["message"].startswith("this machine's clock is 10 min")
    assert waited["message"] == "no answer within 0.2 s"
    assert refused["status"] == clock["status"] == waited["status"] == "bad"


def test_doctor_checks_the_database_without_its_password(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "KALLYAI_DATABASE_URL", f"postgresql://user:hush-hush@127.0.0.1:{free_port()}/calls"
    )
    without_keys = checks()["settings"]
    monkeypatch.setenv("KALLYAI_SECRET_KEYS", "0123456789abcdef" * 4)
    result = invoke("doctor", "--json")
    monkeypatch.setenv("KALLYAI_DATABASE_URL", database_url)

    assert "needs KALLYAI_SECRET_KEYS" in without_keys["message"]
    assert "The ledger's database can't be used" in result.stdout
    assert "shows its own reason" in result.stdout
    assert "hush" not in result.output
    assert checks()["ledger"]["message"] == "PostgreSQL can be written"
