"""Standard streams that are closed, full, or read by nobody: one line or none, and the right exit
code.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests import programs
from tests.processes import COMMAND, LIMIT, environment, free_port
from tests.transports.http_server import initialize

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such shells"),
]

CALL = ("call", "+12025550103", "Ask for the hours", "--sandbox")
"""A call to a number that is busy, which ends at once."""

CLOSED = "Error: the output can't be written: stdout is closed."


def run(
    home: Path, redirection: str, *arguments: str, given: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run a command as a shell does, with a redirection such as `>&-`."""
    shell = ["bash", "-c", f'exec "$@" {redirection}', "bash", *COMMAND, *arguments]
    return programs.run(shell, variables=environment(home), stdin=given, seconds=LIMIT)


@pytest.mark.parametrize("command", ["--help", "status --sandbox", "logout", "doctor --json"])
def test_a_closed_stdout_is_one_line(tmp_path: Path, command: str) -> None:
    done = run(tmp_path, ">&-", *command.split())

    assert (done.returncode, done.stderr.splitlines()) == (1, [CLOSED])


def test_a_closed_stdin_is_an_empty_one(tmp_path: Path) -> None:
    asked = run(tmp_path, "<&-", *CALL)
    served = run(tmp_path, "<&-", "serve")

    assert asked.returncode == 1
    assert asked.stderr.splitlines()[-1].startswith("Error: Not called: --yes is needed")
    assert (served.returncode, served.stderr) == (0, "")


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
def test_a_full_stderr_changes_no_result(tmp_path: Path, stderr: str) -> None:
    wrong = run(tmp_path, stderr, "no-such-command")
    called = run(tmp_path, stderr, *CALL, "--yes", "--json")

    assert wrong.returncode == 2
    assert called.returncode == 3
    assert json.loads(called.stdout)["outcome"] == "not_reached"


def test_a_client_without_stdout_is_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, ">&-", "serve", given=json.dumps(initialize()) + "\n")

    assert done.returncode == 1
    assert done.stderr.splitlines() == ["Error: the client can't be answered: stdout is closed."]


def test_a_server_over_http_needs_no_standard_streams(tmp_path: Path) -> None:
    port = free_port()
    serve = [*COMMAND, "serve", "--transport", "http", "--port", str(port), "--sandbox"]
    shell = ["bash", "-c", 'exec "$@" <&- >&- 2>&-', "bash", *serve]
    with subprocess.Popen(shell, env=environment(tmp_path)) as process:
        try:
            with httpx2.Client(transport=httpx2.HTTPTransport(retries=20), timeout=LIMIT) as client:
                status = client.get(f"http://127.0.0.1:{port}/health").status_code
            process.send_signal(signal.SIGTERM)
            code = process.wait(LIMIT)
        finally:
            process.kill()

    assert (status, code) == (200, 0)


def test_a_sandbox_without_its_reader_ends_silently(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [*COMMAND, "sandbox", "--port", "0"]
    with subprocess.Popen(
        command, env=environment(tmp_path), stdout=writer, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(writer)
        _, said = process.communicate(timeout=LIMIT)

    assert (process.returncode, said) == (1, "")


def test_ctrl_c_at_the_question_places_nothing(tmp_path: Path) -> None:
    from tests.cli.pseudo_terminal import on_terminal

    with on_terminal(tmp_path, *CALL) as terminal:
        terminal.read_until("[y/N]:")
        terminal.process.send_signal(signal.SIGINT)

        assert terminal.wait() == 130
    assert "Not called." in terminal.output
    assert "Aborted" not in terminal.output
