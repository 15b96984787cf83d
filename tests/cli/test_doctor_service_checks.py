"""The checks of `doctor` on the sign-in and the service."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import keyring
import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from kallyai_mcp.cli import doctor_service_checks
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.settings import Settings
from tests.auth.fakes import MemoryKeyring
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
from tests.cli.machine import invoke
from tests.fake_service import fake_service

__all__ = ["app", "home", "kallyai_home"]


@contextmanager
def service_with_a_clock(ahead: timedelta | None, *, disconnects: bool = False) -> Iterator[str]:
    """A service that answers 401, or closes each connection; its `Date` is `ahead` of the real time."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if disconnects:
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
    async with fake_service(lambda _: HTMLResponse("<!doctype html><title>Just a moment</title>", 403)) as url:
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
def test_a_service_that_disconnects_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with service_with_a_clock(None, disconnects=True) as url:
        monkeypatch.setenv("KALLYAI_API_URL", url)
        checks = run_here()

    assert checks["api"]["status"] == "bad"
    assert f"No complete answer came from KallyAI at {url.removeprefix('http://')}" in checks["api"]["message"]


async def test_a_rejected_sign_in_is_reported_and_not_renewed(home: Path, app: SandboxApp) -> None:
    kallyai_home = home / "kallyai"
    async with running(app) as url, fake_service(lambda _: (401, {"error": {"code": "token_expired"}})) as refusing:
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


async def test_an_account_whose_calls_are_refused_is_not_all_well(home: Path, app: SandboxApp) -> None:
    async with running(app) as url:
        sign_in(home / "kallyai", url, app, account="acct-empty")
        done = await run_doctor(home / "kallyai", url)

    assert "! account     0 of " in done.stdout
    assert "get more at KallyAI, or wait until it renews" in done.stdout
    assert "All is well" not in done.stdout


@pytest.mark.parametrize("page", [True, False], ids=["a web page", "an error"])
async def test_an_unexpected_answer_with_a_sign_in_is_reported(home: Path, app: SandboxApp, *, page: bool) -> None:
    def answer(request: Request) -> Response | tuple[int, Any]:
        if "authorization" not in request.headers:
            return 401, {"error": {"code": "missing_token"}}
        return HTMLResponse("<html>Just a moment</html>", 403) if page else (403, {"error": {"code": "forbidden"}})

    async with fake_service(answer) as url:
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


def test_where_a_sign_in_could_not_be_kept_it_says_what_to_do_first(
    kallyai_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kallyai_home.parent.mkdir(parents=True, exist_ok=True)
    kallyai_home.write_text("a file where a folder should be")
    monkeypatch.setenv("KALLYAI_HOME", str(kallyai_home / "home"))
    result = invoke("doctor")

    assert "would be kept" not in result.output
    assert "A sign-in can't be kept in " in result.output
    assert "First: token_store. To fix it: make its folder writable, or set KALLYAI_HOME to another." in result.output


@pytest.mark.usefixtures("kallyai_home")
def test_when_callers_bring_their_own_account_no_sign_in_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_AUTH", "caller")

    found = run_here()

    assert found["sign_in"]["status"] == found["token_store"]["status"] == "skipped"


def test_on_macos_it_explains_why_the_keychain_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_TOKEN_STORE", "keyring")
    before = keyring.get_keyring()
    keyring.set_keyring(MemoryKeyring())
    try:
        [store, _], _ = doctor_service_checks.sign_in(Settings.from_env(), "darwin")
        [elsewhere, _], _ = doctor_service_checks.sign_in(Settings.from_env(), "linux")
    finally:
        keyring.set_keyring(before)

    assert store.verdict == "ok"
    assert store.message.endswith("choose Always Allow, or set KALLYAI_TOKEN_STORE to file")
    assert "Always Allow" not in elsewhere.message
