import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from kallyai_mcp.sandbox import browser_client
from kallyai_mcp.testing import KallyAISandbox
from tests.cli.machine import run_in_process
from tests.processes import LIMIT, run, started


def signed_in(sandbox: KallyAISandbox, **how: object) -> dict[str, str]:
    """The tokens of another sign-in."""
    tokens: dict[str, str] = httpx2.post(f"{sandbox.url}/_sandbox/sign-in", json=how).raise_for_status().json()
    return tokens


def read_until(stream: "object", wanted: str) -> str:
    for line in stream:  # type: ignore[attr-defined]  # a text pipe
        if wanted in line:
            return str(line).strip()
    raise AssertionError(f"the output ended without {wanted!r}")


def test_login_without_a_browser_prints_a_link_and_waits(tmp_path: Path, kallyai_sandbox: KallyAISandbox) -> None:
    url = kallyai_sandbox.url
    with started(tmp_path, "login", "--no-browser", API_URL=url) as process:
        page = browser_client.sign_in(read_until(process.stdout, "/v1/auth/cli?"))
        code = process.wait(timeout=LIMIT)
        assert process.stdout is not None
        output = page + process.stdout.read()
    commands = ("status", "logout", "logout", "status")
    status, logout, again, nobody = (run_in_process(tmp_path, command, API_URL=url) for command in commands)

    assert code == 0
    assert "Signed in as personal@sandbox.test." in output
    assert status.returncode == 0
    assert f"KallyAI: {url}" in status.stdout
    assert f"Signed in as personal@sandbox.test; kept in {tmp_path}" in status.stdout
    assert "27 of 35 calls left (and 165 of 210 minutes)" in status.stdout
    assert logout.stdout == "Signed out.\n"
    assert again.stdout == "Nobody was signed in.\n"
    assert nobody.returncode == 1
    assert "Not signed in. `kallyai-mcp login` signs in through the browser." in nobody.stderr


def test_where_a_sign_in_could_not_be_kept_login_says_so_in_one_line_before_the_user_signs_in(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run_in_process(tmp_path / "file" / "home", "login", "--no-browser", API_URL="http://127.0.0.1:9")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.endswith("Make its folder writable, or set KALLYAI_HOME to another.\n")


def test_login_accepts_the_pasted_address_of_another_browser(tmp_path: Path, kallyai_sandbox: KallyAISandbox) -> None:
    with started(tmp_path, "login", "--no-browser", API_URL=kallyai_sandbox.url) as process:
        query = parse_qs(urlsplit(read_until(process.stdout, "/v1/auth/cli?")).query)
        tokens = signed_in(kallyai_sandbox, account_id="acct-business")
        answer = (
            f"{query['redirect_uri'][0]}/?access_token={tokens['access_token']}"
            f"&refresh_token={tokens['refresh_token']}&expires_in=3600&state={query['state'][0]}"
        )
        assert process.stdin is not None
        process.stdin.write(f"\nhttps://example.com/\n{answer}\n")
        process.stdin.flush()
        code = process.wait(timeout=LIMIT)
        assert process.stdout is not None
        output = process.stdout.read()

    assert code == 0
    assert "That is not the right address: it has to start with http://127.0.0.1:" in output
    assert "Signed in as business@sandbox.test." in output
    assert "eyJ" not in output


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals in Python")
@pytest.mark.parametrize("pastes", [True, False])
def test_login_takes_a_long_address_on_a_terminal_and_leaves_the_terminal_as_it_was(
    tmp_path: Path, kallyai_sandbox: KallyAISandbox, *, pastes: bool
) -> None:
    import termios

    from tests.cli.pseudo_terminal import on_terminal

    with on_terminal(tmp_path, "login", "--no-browser", columns="400", API_URL=kallyai_sandbox.url) as terminal:
        before = termios.tcgetattr(terminal.descriptor)
        shown = terminal.read_until("and paste it here:")
        link = next(line for line in shown.splitlines() if "/v1/auth/cli?" in line)
        if pastes:
            terminal.wait_for_keys()
            query = parse_qs(urlsplit(link).query)
            tokens = signed_in(kallyai_sandbox)
            terminal.type(
                f"{query['redirect_uri'][0]}/?access_token={tokens['access_token']}&refresh_token="
                f"{tokens['refresh_token']}&expires_in=3600&more={5000 * 'x'}&state={query['state'][0]}\r"
            )
        else:
            browser_client.sign_in(link)
        assert terminal.wait() == 0, terminal.output
        assert termios.tcgetattr(terminal.descriptor) == before

    assert "Signed in as personal@sandbox.test." in terminal.output


def test_login_opens_the_browser_without_its_own_secrets(
    tmp_path: Path, kallyai_sandbox: KallyAISandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    inherited = tmp_path / "inherited"
    monkeypatch.setenv("BROWSER", f"{sys.executable} -m tests.cli.browser %s")
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


def test_a_sign_in_canceled_in_the_browser_is_reported_in_one_line(
    tmp_path: Path, kallyai_sandbox: KallyAISandbox
) -> None:
    with started(tmp_path, "login", "--no-browser", API_URL=kallyai_sandbox.url) as process:
        browser_client.sign_in(read_until(process.stdout, "/v1/auth/cli?"), allow=False)
        code = process.wait(timeout=LIMIT)
        assert process.stderr is not None
        output = process.stderr.read()

    assert code == 1
    assert output.startswith("Error: The sign-in was canceled on KallyAI's page.")
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize("command", ["login", "logout"])
def test_login_and_logout_refuse_when_the_settings_have_a_token(tmp_path: Path, command: str) -> None:
    done = run_in_process(tmp_path, command, ACCESS_TOKEN="abc123456789")

    assert done.returncode == 1
    assert "KALLYAI_ACCESS_TOKEN" in done.stderr
    assert "abc123456789" not in done.stderr + done.stdout


def test_status_names_the_setting_that_the_token_comes_from(tmp_path: Path, kallyai_sandbox: KallyAISandbox) -> None:
    token = signed_in(kallyai_sandbox, scopes=["subscription:read"])["access_token"]
    done = run_in_process(tmp_path, "status", API_URL=kallyai_sandbox.url, ACCESS_TOKEN=token)

    assert "Signed in as personal@sandbox.test; kept in KALLYAI_ACCESS_TOKEN" in done.stdout
    assert "minutes" in done.stdout
    assert token not in done.stdout


def test_status_reports_a_service_that_can_not_be_reached(tmp_path: Path) -> None:
    done = run_in_process(tmp_path, "status", API_URL="http://127.0.0.1:9", ACCESS_TOKEN="abc123456789")

    assert done.returncode == 1
    assert "Error: KallyAI at 127.0.0.1:9 can't be reached: the connection was refused" in done.stderr
    assert "Traceback" not in done.stderr
