"""`doctor`, on a machine where all is well, and on machines with one problem each."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from tests.calls.ledgers import opened
from tests.cli.doctor_run import (
    UNREACHABLE,
    app,
    checks_in,
    hashes_of_files,
    home,
    kallyai_home,
    run_doctor,
    run_here,
    sign_in,
)
from tests.cli.machine import invoke, write_file
from tests.processes import FORKED_COMMAND, LIMIT, run

__all__ = ["app", "home", "kallyai_home"]


async def test_when_all_is_well_it_changes_nothing_and_prints_no_token(home: Path, app: SandboxApp) -> None:
    kallyai_home = home / "kallyai"
    write_file(
        "cursor", json.dumps({"mcpServers": {"kallyai": {"command": sys.executable, "args": ["-m", "kallyai_mcp"]}}})
    )
    async with opened(kallyai_home / "ledger.db") as ledger:
        await ledger.check()
    async with running(app) as url:
        tokens = sign_in(kallyai_home, url, app)
        before = hashes_of_files(home)
        lines = await run_doctor(kallyai_home, url)
        as_json = await run_doctor(kallyai_home, url, "--json")
        after = hashes_of_files(home)

    checks = checks_in(as_json.stdout)
    assert lines.returncode == as_json.returncode == 0, lines.stdout
    assert lines.stderr == as_json.stderr == ""
    assert {check["status"] for check in checks.values()} == {"ok"}
    *found, last = lines.stdout.splitlines()
    assert [line.split()[1] for line in found] == list(checks)
    assert last == "All is well."
    assert list(checks) == [
        "version",
        "settings",
        "token_store",
        "sign_in",
        "api",
        "clock",
        "account",
        "ledger",
        "stuck_calls",
        "clients",
    ]
    assert "165 of 210 minutes" in checks["account"]["message"]
    assert checks["sign_in"]["who"] == "personal@sandbox.test"
    assert checks["clients"]["clients"][0]["client"] == "cursor"
    assert "Cursor (kallyai)" in checks["clients"]["message"]
    assert before == after
    for secret in (tokens.access_token, tokens.refresh_token):
        assert secret is not None
        assert secret.get_secret_value() not in lines.stdout + as_json.stdout


@pytest.mark.usefixtures("kallyai_home")
def test_the_embedded_sandbox_needs_no_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_SANDBOX", "1")

    result = invoke("doctor")

    assert result.exit_code == 0
    assert "✓ sandbox     KALLYAI_SANDBOX is on" in result.stdout
    assert "sign_in" not in result.stdout


@pytest.mark.usefixtures("kallyai_home")
def test_a_missing_sandbox_is_reported_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_SANDBOX", "1")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    found = run_here()["sandbox"]

    assert found["status"] == "bad"
    assert "kallyai-mcp[sandbox]" in found["message"]


@pytest.mark.usefixtures("kallyai_home")
def test_every_setting_is_listed_with_its_source_and_secrets_only_as_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_MCP_TOKEN", "hush-hush-hush-hush")
    monkeypatch.setenv("KALLYAI_ALLOW_NUMBERS", "+1415, +34")
    monkeypatch.setenv("KALLYAI_OTHER_PROGRAM", "x")
    result = invoke("doctor", "--json")

    found = checks_in(result.stdout)["settings"]
    table = found["settings"]
    assert table["KALLYAI_MCP_TOKEN"] == {"value": "set", "source": "environment"}
    assert table["KALLYAI_CLIENT_SECRET"] == {"value": None, "source": "default"}
    assert table["KALLYAI_ALLOW_NUMBERS"]["value"] == ["+1415", "+34"]
    assert table["KALLYAI_WAIT_SECONDS"] == {"value": 45, "source": "default"}
    assert found["unknown"] == ["KALLYAI_OTHER_PROGRAM"]
    assert found["status"] == "ok"
    assert "hush" not in result.output


@pytest.mark.usefixtures("kallyai_home")
def test_a_misspelled_setting_and_a_bad_value_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_WAIT_SECOND", "5")
    misspelled = run_here()["settings"]
    monkeypatch.delenv("KALLYAI_WAIT_SECOND")
    monkeypatch.setenv("KALLYAI_CONFIRM", "perhaps")
    bad = run_here()

    assert misspelled["status"] == "bad"
    assert "KALLYAI_WAIT_SECOND: there is no such setting; did you mean KALLYAI_WAIT_SECONDS?" in misspelled["message"]
    assert bad["settings"]["status"] == "bad"
    assert "KALLYAI_CONFIRM: 'perhaps' is not one of" in bad["settings"]["message"]
    assert list(bad) == ["version", "settings", "clients"]


@pytest.mark.usefixtures("kallyai_home")
def test_clients_with_a_missing_command_or_a_broken_file_are_reported(home: Path) -> None:
    gone = str(home / "old" / "kallyai-mcp")
    write_file(
        "cursor",
        json.dumps({"mcpServers": {"phone": {"command": gone}, "other": {"command": "nothing"}, "none": None}}),
    )
    write_file("codex", '[mcp_servers.kallyai]\nurl = "http://127.0.0.1:8000/mcp"\n')
    broken = write_file("gemini", "{\n")

    found = run_here()["clients"]

    assert found["status"] == "bad"
    assert f"Cursor starts {gone}, which does not exist" in found["message"]
    assert f"{broken}, line 2: " in found["message"]
    assert "`kallyai-mcp install cursor --name phone`" in found["fix"]
    assert [row["client"] for row in found["clients"]] == ["cursor", "gemini"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")
@pytest.mark.usefixtures("kallyai_home")
def test_on_a_terminal_lines_are_wrapped_and_paths_are_not(kallyai_home: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    environ = os.environ | {"COLUMNS": "60", "KALLYAI_API_URL": UNREACHABLE, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([*FORKED_COMMAND, "doctor"], stdout=theirs, env=environ, timeout=LIMIT, check=False)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        shown = terminal.read(20_000).decode().splitlines()

    assert done.returncode == 1
    assert all(len(line) <= 60 or str(kallyai_home) in line for line in shown[:-1])
    assert any(line.startswith(" " * 14) for line in shown)
    assert any(str(kallyai_home / "ledger.db") in line for line in shown)


async def test_a_console_that_can_not_show_the_signs_gets_ascii(home: Path) -> None:
    done = await run_doctor(home / "kallyai", UNREACHABLE, charset="ascii")

    assert done.returncode == 1
    assert done.stdout.isascii()
    assert done.stdout.startswith("+ version ")
    assert "\nx sign_in " in done.stdout


def test_it_ends_within_15_seconds_when_the_service_does_not_answer(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        done = run(home / "kallyai", "doctor", "--json", API_URL=f"http://127.0.0.1:{silent.getsockname()[1]}")
        took = time.monotonic() - began

    found = checks_in(done.stdout)
    assert done.returncode == 1
    assert took < 15
    assert found["api"]["message"] == "no answer within 6 s"
    assert found["ledger"]["status"] == "ok"


@pytest.mark.usefixtures("kallyai_home")
def test_a_machine_whose_clients_use_the_sandbox_is_healthy_without_a_sign_in() -> None:
    entry = {"command": sys.executable, "args": ["-m", "kallyai_mcp", "serve", "--sandbox"]}
    write_file("cursor", json.dumps({"mcpServers": {"kallyai": entry}}))
    healthy = invoke("doctor")
    write_file("gemini", json.dumps({"mcpServers": {"kallyai": entry | {"args": ["-m", "kallyai_mcp"]}}}))
    with_a_live_one = invoke("doctor")

    assert healthy.exit_code == 0, healthy.stdout
    assert healthy.stdout.splitlines()[-1] == "All is well."
    assert "nobody is signed in; the clients here use the embedded sandbox" in healthy.stdout
    assert with_a_live_one.exit_code == 1
    assert with_a_live_one.stdout.splitlines()[-1].startswith("2 problems. First: sign_in. To fix it: sign in with ")
