"""`doctor`, on a machine where all is well, and on machines with one problem each."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from kallyai_mcp.api.models import Submission, TokenGrant
from kallyai_mcp.auth.file_store import FileStore
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from tests.calls.ledgers import kept_record, opened
from tests.cli.machine import invoke, move_home, write_file
from tests.fake_service import odd_service
from tests.processes import COMMAND, LIMIT, free_port, run
from tests.sandbox.sandbox_app import sandbox_app

UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home folder; `KALLYAI_HOME` is its subfolder `kallyai`."""
    return move_home(monkeypatch, tmp_path / "home")


@pytest.fixture
def kallyai_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`KALLYAI_HOME`, for commands that run in this process against a service that can't be reached."""
    monkeypatch.setenv("KALLYAI_HOME", str(home / "kallyai"))
    monkeypatch.setenv("KALLYAI_TOKEN_STORE", "file")
    monkeypatch.setenv("KALLYAI_API_URL", UNREACHABLE)
    return home / "kallyai"


@pytest.fixture
def app() -> Iterator[SandboxApp]:
    """A sandbox on the real clock, because the commands are separate processes."""
    with sandbox_app() as app:
        yield app


def sign_in(kallyai_home: Path, url: str, app: SandboxApp, **changes: Any) -> Tokens:
    """Store a sign-in to the sandbox, as `login` does."""
    grant = TokenGrant.model_validate(app.state.sandbox.issue_tokens())
    tokens = Tokens.from_grant(grant, time.time()).model_copy(update=changes)
    FileStore(kallyai_home, url).save(tokens)
    return tokens


async def run_doctor(kallyai_home: Path, url: str, *more: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return await anyio.to_thread.run_sync(lambda: run(kallyai_home, "doctor", *more, API_URL=url, **settings))


def checks_in(text: str) -> dict[str, dict[str, Any]]:
    document = json.loads(text)
    checks = {check["check"]: check for check in document["checks"]}
    assert document["ok"] == all(check["status"] != "bad" for check in checks.values())
    return checks


def run_here() -> dict[str, dict[str, Any]]:
    """The checks of `doctor`, run in this process."""
    result = invoke("doctor", "--json")
    checks = checks_in(result.stdout)
    assert result.exit_code == int(any(check["status"] == "bad" for check in checks.values()))
    return checks


def hashes_of_files(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def service_with_a_clock(ahead: timedelta | None, *, disconnects: bool = False) -> Iterator[str]:
    """A service that answers 401, or closes the second connection; its `Date` is `ahead` of the real time."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if disconnects and self.path != "/":
                self.connection.close()
                return
            body = b'{"error": {"code": "missing_token"}}'
            self.send_response_only(401)
            if ahead is not None:
                self.send_header("Date", format_datetime(datetime.now(UTC) + ahead, usegmt=True))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()


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
        lines = await run_doctor(kallyai_home, url, PYTHONIOENCODING="utf-8")
        as_json = await run_doctor(kallyai_home, url, "--json")
        after = hashes_of_files(home)

    checks = checks_in(as_json.stdout)
    assert lines.returncode == as_json.returncode == 0, lines.stdout
    assert lines.stderr == as_json.stderr == ""
    assert {check["status"] for check in checks.values()} == {"ok"}
    assert [line.split()[1] for line in lines.stdout.splitlines()] == list(checks)
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


async def test_without_a_sign_in_it_says_how_to_sign_in(home: Path, app: SandboxApp) -> None:
    async with running(app) as url:
        done = await run_doctor(home / "kallyai", url)

    assert done.returncode == 1
    assert "✗ sign_in     nobody is signed in. To fix it: sign in with `kallyai-mcp login`." in done.stdout.splitlines()
    assert f"✓ api         {url} answers" in done.stdout
    assert "- account " in done.stdout
    assert not (home / "kallyai").exists()


@pytest.mark.usefixtures("kallyai_home")
def test_a_service_that_can_not_be_reached_is_reported() -> None:
    checks = run_here()

    assert checks["api"]["status"] == "bad"
    assert "KallyAI at 127.0.0.1:9 can't be reached: the connection was refused" in checks["api"]["message"]
    assert "proxy" in checks["api"]["fix"]
    assert checks["clock"]["status"] == checks["account"]["status"] == "skipped"
    assert checks["ledger"]["status"] == "ok"


async def test_a_web_page_in_place_of_data_is_reported(home: Path) -> None:
    async with odd_service(lambda _: HTMLResponse("<!doctype html><title>Just a moment</title>", 403)) as url:
        done = await run_doctor(home / "kallyai", url, "--json")

    checks = checks_in(done.stdout)
    assert done.returncode == 1
    assert checks["api"]["status"] == "bad"
    assert "a web page in place of data" in checks["api"]["message"]
    assert checks["account"]["status"] == "skipped"


@pytest.mark.parametrize(("minutes", "words"), [(10, "behind KallyAI's"), (-10, "ahead of KallyAI's")])
def test_a_clock_that_is_ten_minutes_off_is_reported(
    kallyai_home: Path, monkeypatch: pytest.MonkeyPatch, minutes: float, words: str
) -> None:
    with service_with_a_clock(timedelta(minutes=minutes)) as url:
        monkeypatch.setenv("KALLYAI_API_URL", url)
        checks = run_here()

    assert checks["api"]["status"] == "ok"
    assert checks["clock"]["status"] == "bad"
    assert words in checks["clock"]["message"]
    assert abs(checks["clock"]["seconds_ahead"] + minutes * 60) < 5
    assert not kallyai_home.exists()


@pytest.mark.usefixtures("kallyai_home")
def test_the_clock_check_is_skipped_for_an_answer_without_a_date(monkeypatch: pytest.MonkeyPatch) -> None:
    with service_with_a_clock(None) as url:
        monkeypatch.setenv("KALLYAI_API_URL", url)
        checks = run_here()

    assert checks["api"]["status"] == "ok"
    assert checks["clock"]["status"] == "skipped"


@pytest.mark.usefixtures("kallyai_home")
def test_a_service_that_disconnects_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with service_with_a_clock(None, disconnects=True) as url:
        monkeypatch.setenv("KALLYAI_API_URL", url)
        checks = run_here()

    assert checks["api"]["status"] == "bad"
    assert f"{url} answers, but a second request failed" in checks["api"]["message"]


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


def test_a_home_folder_that_can_not_be_created_is_reported(kallyai_home: Path) -> None:
    kallyai_home.touch()
    found = run_here()

    assert found["ledger"]["status"] == "bad"
    assert f"{kallyai_home / 'ledger.db'} can't be written" in found["ledger"]["message"]
    assert "KALLYAI_HOME" in found["ledger"]["fix"]
    assert found["token_store"]["status"] == "bad"
    assert found["sign_in"]["status"] == "skipped"


@pytest.mark.usefixtures("kallyai_home")
def test_a_redis_that_does_not_answer_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_REDIS_URL", f"redis://:hush-hush@127.0.0.1:{free_port()}/0")
    result = invoke("doctor", "--json")

    found = checks_in(result.stdout)
    assert found["ledger"]["status"] == "bad"
    assert "Redis" in found["ledger"]["message"]
    assert found["settings"]["settings"]["KALLYAI_REDIS_URL"] == {"value": "set", "source": "environment"}
    assert "hush" not in result.output
    monkeypatch.setenv("KALLYAI_REDIS_URL", "nonsense")
    assert run_here()["ledger"]["status"] == "bad"


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


async def test_a_rejected_sign_in_is_reported_and_not_renewed(home: Path, app: SandboxApp) -> None:
    kallyai_home = home / "kallyai"
    async with running(app) as url, odd_service(lambda _: (401, {"error": {"code": "token_expired"}})) as refusing:
        sign_in(kallyai_home, refusing, app)
        before = hashes_of_files(home)
        done = await run_doctor(kallyai_home, refusing, "--json")
        with_token = await run_doctor(kallyai_home, url, "--json", ACCESS_TOKEN="abc123456789")

    found, given_token = checks_in(done.stdout), checks_in(with_token.stdout)
    assert found["api"]["status"] == "ok"
    assert found["account"]["status"] == "bad"
    assert "kallyai-mcp login" in found["account"]["fix"]
    assert hashes_of_files(home) == before
    assert given_token["account"]["status"] == "bad"
    assert "KALLYAI_ACCESS_TOKEN" in given_token["account"]["fix"]
    assert given_token["token_store"]["kept_in"] == "KALLYAI_ACCESS_TOKEN"
    assert "abc123456789" not in with_token.stdout


@pytest.mark.parametrize("page", [True, False], ids=["a web page", "an error"])
async def test_an_unexpected_answer_with_a_sign_in_is_reported(home: Path, app: SandboxApp, *, page: bool) -> None:
    def answer(request: Request) -> Response | tuple[int, Any]:
        if "authorization" not in request.headers:
            return 401, {"error": {"code": "missing_token"}}
        return HTMLResponse("<html>Just a moment</html>", 403) if page else (403, {"error": {"code": "forbidden"}})

    async with odd_service(answer) as url:
        sign_in(home / "kallyai", url, app)
        done = await run_doctor(home / "kallyai", url, "--json")

    found = checks_in(done.stdout)
    assert found["api"]["status"] == "ok"
    assert found["account"]["status"] == "bad"
    assert found["account"]["fix"].startswith("see api")


def test_an_expired_sign_in_is_bad_only_if_it_can_not_be_renewed(kallyai_home: Path, app: SandboxApp) -> None:
    sign_in(kallyai_home, UNREACHABLE, app, expires_at=time.time() - 90)
    renewable = run_here()["sign_in"]
    sign_in(kallyai_home, UNREACHABLE, app, expires_at=time.time() - 90, refresh_token=None)
    final = run_here()["sign_in"]

    assert renewable["status"] == "ok"
    assert "renewed at its next use" in renewable["message"]
    assert final["status"] == "bad"
    assert "ended 1 min" in final["message"]


def test_a_broken_sign_in_file_is_reported(kallyai_home: Path, app: SandboxApp) -> None:
    sign_in(kallyai_home, UNREACHABLE, app)
    (file,) = (kallyai_home / "sign-in").glob("*.json")
    file.write_text('{"access_token": "eyJ')
    result = invoke("doctor", "--json")

    found = checks_in(result.stdout)["token_store"]
    assert found["status"] == "bad"
    assert f"{file} is broken (it is not JSON)" in found["message"]
    assert "eyJ" not in result.output


@pytest.mark.usefixtures("kallyai_home")
def test_when_callers_bring_their_own_account_no_sign_in_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_AUTH", "caller")

    found = run_here()

    assert found["sign_in"]["status"] == found["token_store"]["status"] == "skipped"


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
    monkeypatch.setenv("KALLYAI_CONFIRM", "perhaps")
    bad = run_here()

    assert misspelled["status"] == "bad"
    assert "KALLYAI_WAIT_SECOND (KALLYAI_WAIT_SECONDS?)" in misspelled["message"]
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
    done = subprocess.run([*COMMAND, "doctor"], stdout=theirs, env=environ, timeout=LIMIT, check=False)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        shown = terminal.read(20_000).decode().splitlines()

    assert done.returncode == 1
    assert all(len(line) <= 60 or str(kallyai_home) in line for line in shown)
    assert any(line.startswith(" " * 14) for line in shown)
    assert any(str(kallyai_home / "ledger.db") in line for line in shown)


async def test_a_console_that_can_not_show_the_signs_gets_ascii(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = await run_doctor(home / "kallyai", UNREACHABLE)

    assert done.returncode == 1
    assert done.stdout.isascii()
    assert done.stdout.startswith("+ version ")
    assert "\nx sign_in " in done.stdout


async def test_it_ends_within_15_seconds_when_the_service_does_not_answer(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        done = await run_doctor(home / "kallyai", f"http://127.0.0.1:{silent.getsockname()[1]}", "--json")
        took = time.monotonic() - began

    found = checks_in(done.stdout)
    assert done.returncode == 1
    assert took < 15
    assert found["api"]["message"] == "no answer within 6 s"
    assert found["ledger"]["status"] == "ok"
