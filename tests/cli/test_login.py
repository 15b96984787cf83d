import os
import stat
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from kallyai_mcp.testing import KallyAISandbox
from tests.cli.machine import move_home, run_in_process, sign_in
from tests.processes import LIMIT, run, started
from tests.sandbox.auth import browser_client


def read_until(stream: "object", wanted: str) -> str:
    for line in stream:  # type: ignore[attr-defined]  # a text pipe
        if wanted in line:
            return str(line).strip()
    raise AssertionError(f"the output ended without {wanted!r}")


@pytest.mark.programs
def test_login_without_a_browser_waits_for_its_link(
    tmp_path: Path, kallyai_sandbox: KallyAISandbox
) -> None:
    url = kallyai_sandbox.url
    with started(tmp_path, "login", "--no-browser", API_URL=url) as process:
        page = browser_client.sign_in(read_until(process.stdout, "/v1/auth/cli?"))
        code = process.wait(timeout=LIMIT)
        assert process.stdout is not None
        output = page + process.stdout.read()
    status = run_in_process(tmp_path, "status", API_URL=url)

    assert code == 0
    assert "Signed in as personal@sandbox.test." in output
    assert "Signed in   SANDBOX    personal@sandbox.test\n" in status.stdout


def test_logout_signs_the_user_out(tmp_path: Path, kallyai_sandbox: KallyAISandbox) -> None:
    sign_in(tmp_path, kallyai_sandbox)
    logout, again, status = (
        run_in_process(tmp_path, command, API_URL=kallyai_sandbox.url)
        for command in ("logout", "logout", "status")
    )

    assert logout.stdout == "Signed out.\n"
    assert again.stdout == "Nobody was signed in.\n"
    assert status.returncode == 1
    assert "To sign in  kallyai-mcp login" in status.stderr


@pytest.mark.programs
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_the_commands_files_are_private(
    tmp_path: Path, kallyai_sandbox: KallyAISandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sign-in, a call, a client's file with its backup, and the state of a sandbox."""
    user, home = move_home(monkeypatch, tmp_path / "user"), tmp_path / "new" / "home"
    url = kallyai_sandbox.url
    before = os.umask(0)
    try:
        with started(home, "login", "--no-browser", API_URL=url) as process:
            browser_client.sign_in(read_until(process.stdout, "/v1/auth/cli?"))
            assert process.wait(timeout=LIMIT) == 0
        assert (
            run_in_process(home, "call", "+12025550142", "Ask", "--yes", API_URL=url).returncode
            == 0
        )
        for name in ("one", "two"):
            assert run_in_process(home, "install", "cursor", "--name", name).returncode == 0
        with started(
            home, "sandbox", "--port", "0", "--data", str(tmp_path / "state" / "sandbox.db")
        ) as process:
            read_until(process.stdout, "http://")
    finally:
        os.umask(before)
    made = [path for path in tmp_path.rglob("*") if path not in (user, tmp_path / "kallyai")]
    assert {path.name for path in made} >= {"renewal.lock", "ledger.db", "mcp.json", "sandbox.db"}
    assert [path for path in made if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


@pytest.mark.programs
def test_a_canceled_login_is_one_line(tmp_path: Path, kallyai_sandbox: KallyAISandbox) -> None:
    with started(tmp_path, "login", "--no-browser", API_URL=kallyai_sandbox.url) as process:
        browser_client.sign_in(read_until(process.stdout, "/v1/auth/cli?"), allow=False)
        code = process.wait(timeout=LIMIT)
        assert process.stderr is not None
        (line,) = process.stderr

    assert code == 1
    assert line.startswith("Error: The sign-in was canceled on KallyAI's page.")


def test_a_login_without_storage_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run_in_process(
        tmp_path / "file" / "home", "login", "--no-browser", API_URL="http://127.0.0.1:9"
    )

    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.endswith("Make its folder writable, or set KALLYAI_HOME to another.")


@pytest.mark.parametrize("command", ["login", "logout"])
def test_a_sign_in_by_a_setting_stays(tmp_path: Path, command: str) -> None:
    done = run_in_process(tmp_path, command, ACCESS_TOKEN="abc123456789")

    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "KALLYAI_ACCESS_TOKEN" in line
    assert "abc123456789" not in line


@pytest.mark.programs
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals in Python")
@pytest.mark.parametrize("pastes", [True, False])
def test_login_takes_a_long_address_on_terminals(
    tmp_path: Path, kallyai_sandbox: KallyAISandbox, *, pastes: bool
) -> None:
    import termios

    from tests.cli.pseudo_terminal import on_terminal

    with on_terminal(
        tmp_path, "login", "--no-browser", columns="400", API_URL=kallyai_sandbox.url
    ) as terminal:
        before = termios.tcgetattr(terminal.descriptor)
        shown = terminal.read_until("and paste it here:")
        link = next(line for line in shown.splitlines() if "/v1/auth/cli?" in line)
        if pastes:
            terminal.wait_for_keys()
            query = parse_qs(urlsplit(link).query)
            tokens = (
                httpx2.post(f"{kallyai_sandbox.url}/_sandbox/sign-in", json={})
                .raise_for_status()
                .json()
            )
            terminal.type("https://example.com/\r")
            terminal.read_until(
                "That is not the right address: it has to start with http://127.0.0.1:"
            )
            terminal.wait_for_keys()  # between two lines, the terminal cuts a long one
            terminal.type(
                f"{query['redirect_uri'][0]}/?access_token={tokens['access_token']}&refresh_token="
                f"{tokens['refresh_token']}&expires_in=3600&more={5000 * 'x'}"
                f"&state={query['state'][0]}\r"
            )
        else:
            browser_client.sign_in(link)
        assert terminal.wait() == 0, terminal.output
        assert termios.tcgetattr(terminal.descriptor) == before

    assert "Signed in as personal@sandbox.test." in terminal.output


@pytest.mark.programs
def test_login_opens_the_browser_without_its_own_secrets(
    tmp_path: Path, kallyai_sandbox: KallyAISandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    inherited = tmp_path / "inherited"
    (tmp_path / "browser.py").write_text(
        "import os, pathlib, sys\n"
        "from tests.sandbox.auth import browser_client\n"
        "pathlib.Path(os.environ['INHERITED']).write_text('\\n'.join(os.environ))\n"
        "browser_client.sign_in(sys.argv[1])\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("BROWSER", f"{sys.executable} {tmp_path / 'browser.py'} %s")
    monkeypatch.setenv("INHERITED", str(inherited))
    monkeypatch.setenv("PGPASSWORD", "a-secret-of-the-database")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "key=a-secret-of-the-collector")
    settings = {"MCP_TOKEN": "a-secret-of-many-characters", "CLIENT_SECRET": "another"}
    done = run(tmp_path, "login", API_URL=kallyai_sandbox.url, **settings)

    assert done.returncode == 0, done.stderr
    names = inherited.read_text(encoding="utf-8").split()
    assert "PATH" in names
    assert not [name for name in names if name.startswith(("KALLYAI_", "PG", "OTEL_"))]
    assert "Your browser opens KallyAI's sign-in page." in done.stdout
    assert "Signed in as personal@sandbox.test." in done.stdout


def test_the_sandbox_needs_no_login(tmp_path: Path) -> None:
    done = run_in_process(tmp_path, "login", "--sandbox")

    assert done.returncode == 0
    assert "always signed in" in done.stdout
