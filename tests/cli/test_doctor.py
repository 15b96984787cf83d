"""`doctor`, on machines with something wrong, and on one with nothing."""

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
from kallyai_mcp.calls.ledger.sqlite import SqliteLedger
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from tests.cli.machine import at_home, do, given
from tests.fake_service import odd_service
from tests.processes import COMMAND, LIMIT, free_port, run
from tests.sandbox.sandbox_app import sandbox_app

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home folder; what is kept of KallyAI is in `kallyai` in it."""
    return at_home(monkeypatch, tmp_path / "home")


@pytest.fixture
def kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of sign-in and ledger, for commands that run in this process on a service that isn't there."""
    monkeypatch.setenv("KALLYAI_HOME", str(home / "kallyai"))
    monkeypatch.setenv("KALLYAI_TOKEN_STORE", "file")
    monkeypatch.setenv("KALLYAI_API_URL", NOWHERE)
    return home / "kallyai"


@pytest.fixture
def app() -> Iterator[SandboxApp]:
    """A sandbox on the machine's own clock, as the commands are processes of their own."""
    with sandbox_app() as app:
        yield app


def sign_in(kept: Path, url: str, app: SandboxApp, **changes: Any) -> Tokens:
    """Keep a sign-in to the sandbox, as `login` does."""
    grant = TokenGrant.model_validate(app.state.sandbox.issue_tokens())
    tokens = Tokens.from_grant(grant, time.time()).model_copy(update=changes)
    FileStore(kept, url).save(tokens)
    return tokens


async def examined(kept: Path, url: str, *more: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return await anyio.to_thread.run_sync(lambda: run(kept, "doctor", *more, API_URL=url, **settings))


def checks_of(text: str) -> dict[str, dict[str, Any]]:
    document = json.loads(text)
    checks = {check["check"]: check for check in document["checks"]}
    assert document["ok"] == all(check["status"] != "bad" for check in checks.values())
    return checks


def found_here() -> dict[str, dict[str, Any]]:
    """What `doctor` finds in this process."""
    result = do("doctor", "--json")
    checks = checks_of(result.stdout)
    assert result.exit_code == int(any(check["status"] == "bad" for check in checks.values()))
    return checks


def everything_in(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def service_with_a_clock(ahead: timedelta | None, *, hangs_up: bool = False) -> Iterator[str]:
    """A service that refuses everything, or hangs up, and dates its answers by a clock of its own if it has one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if hangs_up and self.path != "/":
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


def stuck_record(scope: AccountKey, state: CallState, minutes: float) -> CallRecord:
    return CallRecord(
        tracking_id=f"t-{state.value}",
        scope=scope,
        fingerprint=state.value,
        key=state.value,
        submission=Submission(task_category="general", task_description="Ask", respondent_phone="+12025550100"),
        timezone="UTC",
        owner="nobody",
        state=state,
        placed_at=datetime.now(UTC) - timedelta(minutes=minutes),
    )


async def test_where_all_is_well_it_says_so_and_changes_nothing_and_shows_no_token(home: Path, app: SandboxApp) -> None:
    kept = home / "kallyai"
    given("cursor", json.dumps({"mcpServers": {"kallyai": {"command": sys.executable, "args": ["-m", "kallyai_mcp"]}}}))
    ledger = SqliteLedger(kept / "ledger.db")
    await ledger.beat("somebody", datetime.now(UTC))
    await ledger.aclose()
    async with running(app) as url:
        tokens = sign_in(kept, url, app)
        before = everything_in(home)
        said = await examined(kept, url, PYTHONIOENCODING="utf-8")
        programs = await examined(kept, url, "--json")
        after = everything_in(home)

    checks = checks_of(programs.stdout)
    assert said.returncode == programs.returncode == 0, said.stdout
    assert said.stderr == programs.stderr == ""
    assert {check["status"] for check in checks.values()} == {"ok"}
    assert [line.split()[1] for line in said.stdout.splitlines()] == list(checks)
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
        assert secret.get_secret_value() not in said.stdout + programs.stdout


async def test_where_nobody_is_signed_in_it_says_how_to(home: Path, app: SandboxApp) -> None:
    async with running(app) as url:
        done = await examined(home / "kallyai", url)

    assert done.returncode == 1
    assert (
        "✗ sign_in     nobody is signed in. To mend it: sign in with `kallyai-mcp login`." in done.stdout.splitlines()
    )
    assert f"✓ api         {url} answers" in done.stdout
    assert "- account " in done.stdout
    assert not (home / "kallyai").exists()


@pytest.mark.usefixtures("kept")
def test_a_service_that_is_down_is_named() -> None:
    checks = found_here()

    assert checks["api"]["status"] == "bad"
    assert "KallyAI at 127.0.0.1:9 can't be reached: the connection was refused" in checks["api"]["message"]
    assert "proxy" in checks["api"]["mend"]
    assert checks["clock"]["status"] == checks["account"]["status"] == "skipped"
    assert checks["ledger"]["status"] == "ok"


async def test_a_web_page_in_place_of_data_is_recognised(home: Path) -> None:
    async with odd_service(lambda _: HTMLResponse("<!doctype html><title>Just a moment</title>", 403)) as url:
        done = await examined(home / "kallyai", url, "--json")

    checks = checks_of(done.stdout)
    assert done.returncode == 1
    assert checks["api"]["status"] == "bad"
    assert "a web page in place of data" in checks["api"]["message"]
    assert checks["account"]["status"] == "skipped"


@pytest.mark.parametrize(("minutes", "words"), [(10, "behind KallyAI's"), (-10, "ahead of KallyAI's")])
def test_a_clock_that_is_ten_minutes_off_is_told(
    kept: Path, monkeypatch: pytest.MonkeyPatch, minutes: float, words: str
) -> None:
    with service_with_a_clock(timedelta(minutes=minutes)) as url:
        monkeypatch.setenv("KALLYAI_API_URL", url)
        checks = found_here()

    assert checks["api"]["status"] == "ok"
    assert checks["clock"]["status"] == "bad"
    assert words in checks["clock"]["message"]
    assert abs(checks["clock"]["seconds_ahead"] + minutes * 60) < 5
    assert not kept.exists()


@pytest.mark.usefixtures("kept")
def test_an_answer_without_a_date_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    with service_with_a_clock(None) as url:
        monkeypatch.setenv("KALLYAI_API_URL", url)
        checks = found_here()

    assert checks["api"]["status"] == "ok"
    assert checks["clock"]["status"] == "skipped"


@pytest.mark.usefixtures("kept")
def test_a_service_that_hangs_up_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with service_with_a_clock(None, hangs_up=True) as url:
        monkeypatch.setenv("KALLYAI_API_URL", url)
        checks = found_here()

    assert checks["api"]["status"] == "bad"
    assert f"{url} answers, but a second request failed" in checks["api"]["message"]


def test_a_ledger_that_can_not_be_written_is_named(kept: Path, app: SandboxApp) -> None:
    sign_in(kept, NOWHERE, app)
    (kept / "ledger.db").write_text("This is no database, and long enough not to be taken for an empty one. " * 20)
    no_database = found_here()["ledger"]
    (kept / "ledger.db").unlink()
    (kept / "ledger.db").mkdir()
    found = found_here()
    folder = found["ledger"]

    assert found["stuck_calls"]["status"] == "skipped"
    for ledger in (no_database, folder):
        assert ledger["status"] == "bad"
        assert str(kept / "ledger.db") in ledger["message"]
        assert ledger["mend"] == "make it writable; until then nothing is dialled"


def test_a_folder_that_can_not_be_made_is_named(kept: Path) -> None:
    kept.touch()
    found = found_here()

    assert found["ledger"]["status"] == "bad"
    assert f"{kept / 'ledger.db'} can't be written" in found["ledger"]["message"]
    assert "KALLYAI_HOME" in found["ledger"]["mend"]
    assert found["token_store"]["status"] == "bad"
    assert found["sign_in"]["status"] == "skipped"


@pytest.mark.usefixtures("kept")
def test_a_redis_that_does_not_answer_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_REDIS_URL", f"redis://:hush-hush@127.0.0.1:{free_port()}/0")
    result = do("doctor", "--json")

    found = checks_of(result.stdout)
    assert found["ledger"]["status"] == "bad"
    assert "Redis" in found["ledger"]["message"]
    assert found["settings"]["settings"]["KALLYAI_REDIS_URL"] == {"value": "set", "source": "environment"}
    assert "hush" not in result.output
    monkeypatch.setenv("KALLYAI_REDIS_URL", "nonsense")
    assert found_here()["ledger"]["status"] == "bad"


async def test_calls_that_are_stuck_are_listed_with_how_to_settle_them(home: Path, app: SandboxApp) -> None:
    kept = home / "kallyai"
    async with running(app) as url:
        scope = AccountKey(url, sign_in(kept, url, app).account)
        ledger = SqliteLedger(kept / "ledger.db")
        for state, minutes in ((CallState.UNKNOWN, 1), (CallState.SENT, 20), (CallState.PREPARED, 1)):
            await ledger.enter(stuck_record(scope, state, minutes), redial=False, recent=timedelta())
        await ledger.aclose()
        done = await examined(kept, url, "--json")

    stuck = checks_of(done.stdout)["stuck_calls"]
    assert done.returncode == 1
    assert {row["tracking_id"] for row in stuck["stuck"]} == {"t-unknown", "t-sent"}
    assert stuck["under_way"] == 1
    assert "t-unknown (unknown, placed 1 min" in stuck["message"]
    assert "get_call" in stuck["mend"]
    assert "+12025550100" not in done.stdout


async def test_a_sign_in_that_kallyai_turns_away_is_not_renewed_but_told(home: Path, app: SandboxApp) -> None:
    kept = home / "kallyai"
    async with running(app) as url, odd_service(lambda _: (401, {"error": {"code": "token_expired"}})) as refusing:
        sign_in(kept, refusing, app)
        before = everything_in(home)
        done = await examined(kept, refusing, "--json")
        with_token = await examined(kept, url, "--json", ACCESS_TOKEN="abc123456789")

    found, given_token = checks_of(done.stdout), checks_of(with_token.stdout)
    assert found["api"]["status"] == "ok"
    assert found["account"]["status"] == "bad"
    assert "kallyai-mcp login" in found["account"]["mend"]
    assert everything_in(home) == before
    assert given_token["account"]["status"] == "bad"
    assert "KALLYAI_ACCESS_TOKEN" in given_token["account"]["mend"]
    assert given_token["token_store"]["kept_in"] == "KALLYAI_ACCESS_TOKEN"
    assert "abc123456789" not in with_token.stdout


@pytest.mark.parametrize("page", [True, False], ids=["a web page", "an error"])
async def test_whoever_is_signed_in_and_gets_something_else_is_told(home: Path, app: SandboxApp, *, page: bool) -> None:
    def answer(request: Request) -> Response | tuple[int, Any]:
        if "authorization" not in request.headers:
            return 401, {"error": {"code": "missing_token"}}
        return HTMLResponse("<html>Just a moment</html>", 403) if page else (403, {"error": {"code": "forbidden"}})

    async with odd_service(answer) as url:
        sign_in(home / "kallyai", url, app)
        done = await examined(home / "kallyai", url, "--json")

    found = checks_of(done.stdout)
    assert found["api"]["status"] == "ok"
    assert found["account"]["status"] == "bad"
    assert found["account"]["mend"].startswith("see api")


def test_a_sign_in_that_has_ended_is_bad_only_if_it_can_not_be_renewed(kept: Path, app: SandboxApp) -> None:
    sign_in(kept, NOWHERE, app, expires_at=time.time() - 90)
    renewable = found_here()["sign_in"]
    sign_in(kept, NOWHERE, app, expires_at=time.time() - 90, refresh_token=None)
    final = found_here()["sign_in"]

    assert renewable["status"] == "ok"
    assert "renewed at its next use" in renewable["message"]
    assert final["status"] == "bad"
    assert "ended 1 min" in final["message"]


def test_a_broken_sign_in_is_named(kept: Path, app: SandboxApp) -> None:
    sign_in(kept, NOWHERE, app)
    (file,) = (kept / "sign-in").glob("*.json")
    file.write_text('{"access_token": "eyJ')
    result = do("doctor", "--json")

    found = checks_of(result.stdout)["token_store"]
    assert found["status"] == "bad"
    assert f"{file} is broken (it is not JSON)" in found["message"]
    assert "eyJ" not in result.output


@pytest.mark.usefixtures("kept")
def test_where_callers_bring_their_own_account_none_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_AUTH", "caller")

    found = found_here()

    assert found["sign_in"]["status"] == found["token_store"]["status"] == "skipped"


@pytest.mark.usefixtures("kept")
def test_on_the_embedded_sandbox_nobody_needs_to_be_signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_SANDBOX", "1")

    result = do("doctor")

    assert result.exit_code == 0
    assert "✓ sandbox     KALLYAI_SANDBOX is on" in result.stdout
    assert "sign_in" not in result.stdout


@pytest.mark.usefixtures("kept")
def test_where_the_sandbox_is_not_installed_it_says_how_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_SANDBOX", "1")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    found = found_here()["sandbox"]

    assert found["status"] == "bad"
    assert "kallyai-mcp[sandbox]" in found["message"]


@pytest.mark.usefixtures("kept")
def test_every_setting_is_there_with_its_source_and_a_secret_only_as_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_MCP_TOKEN", "hush-hush-hush-hush")
    monkeypatch.setenv("KALLYAI_ALLOW_NUMBERS", "+1415, +34")
    monkeypatch.setenv("KALLYAI_OTHER_PROGRAM", "x")
    result = do("doctor", "--json")

    found = checks_of(result.stdout)["settings"]
    table = found["settings"]
    assert table["KALLYAI_MCP_TOKEN"] == {"value": "set", "source": "environment"}
    assert table["KALLYAI_CLIENT_SECRET"] == {"value": None, "source": "default"}
    assert table["KALLYAI_ALLOW_NUMBERS"]["value"] == ["+1415", "+34"]
    assert table["KALLYAI_WAIT_SECONDS"] == {"value": 45, "source": "default"}
    assert found["unknown"] == ["KALLYAI_OTHER_PROGRAM"]
    assert found["status"] == "ok"
    assert "hush" not in result.output


@pytest.mark.usefixtures("kept")
def test_a_slip_in_the_name_of_a_setting_and_a_bad_value_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_WAIT_SECOND", "5")
    slip = found_here()["settings"]
    monkeypatch.setenv("KALLYAI_CONFIRM", "perhaps")
    bad = found_here()

    assert slip["status"] == "bad"
    assert "KALLYAI_WAIT_SECOND (KALLYAI_WAIT_SECONDS?)" in slip["message"]
    assert bad["settings"]["status"] == "bad"
    assert "KALLYAI_CONFIRM: 'perhaps' is not one of" in bad["settings"]["message"]
    assert list(bad) == ["version", "settings", "clients"]


@pytest.mark.usefixtures("kept")
def test_clients_with_a_command_that_is_gone_or_a_broken_file_are_told(home: Path) -> None:
    gone = str(home / "old" / "kallyai-mcp")
    given(
        "cursor",
        json.dumps({"mcpServers": {"phone": {"command": gone}, "other": {"command": "nothing"}, "none": None}}),
    )
    given("codex", '[mcp_servers.kallyai]\nurl = "http://127.0.0.1:8000/mcp"\n')
    broken = given("gemini", "{\n")

    found = found_here()["clients"]

    assert found["status"] == "bad"
    assert f"Cursor starts {gone}, which is not there" in found["message"]
    assert f"{broken}, line 2: " in found["message"]
    assert "`kallyai-mcp install cursor --name phone`" in found["mend"]
    assert [row["client"] for row in found["clients"]] == ["cursor", "gemini"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")
@pytest.mark.usefixtures("kept")
def test_on_a_terminal_the_lines_are_as_wide_as_it_is_and_paths_stay_whole(kept: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    environ = os.environ | {"COLUMNS": "60", "KALLYAI_API_URL": NOWHERE, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([*COMMAND, "doctor"], stdout=theirs, env=environ, timeout=LIMIT, check=False)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        shown = terminal.read(20_000).decode().splitlines()

    assert done.returncode == 1
    assert all(len(line) <= 60 or str(kept) in line for line in shown)
    assert any(line.startswith(" " * 14) for line in shown)
    assert any(str(kept / "ledger.db") in line for line in shown)


async def test_a_console_without_the_signs_gets_others(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = await examined(home / "kallyai", NOWHERE)

    assert done.returncode == 1
    assert done.stdout.isascii()
    assert done.stdout.startswith("+ version ")
    assert "\nx sign_in " in done.stdout


async def test_it_ends_in_time_with_a_service_that_says_nothing(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        done = await examined(home / "kallyai", f"http://127.0.0.1:{silent.getsockname()[1]}", "--json")
        took = time.monotonic() - began

    found = checks_of(done.stdout)
    assert done.returncode == 1
    assert took < 15
    assert found["api"]["message"] == "no answer within 6 s"
    assert found["ledger"]["status"] == "ok"
