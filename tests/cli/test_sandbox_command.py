"""`sandbox` and `demo`: what they print, and what they serve."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import httpx2
import pytest

from tests.cli.machine import run_in_process
from tests.processes import LIMIT, started


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that the command serves; `lines` are the first that it prints."""

    process: "subprocess.Popen[str]"
    url: str
    lines: list[str]

    def next_lines(self, count: int) -> list[str]:
        assert self.process.stdout is not None
        return list(islice(self.process.stdout, count))


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    options = ("sandbox", "--port", "0", "--speed", "100000", "--play")
    with started(tmp_path, *options) as process:
        assert process.stdout is not None
        lines = list(islice(process.stdout, 11))
        yield Sandbox(process, lines[0].split()[3], lines)


@pytest.mark.programs
def test_the_sandbox_prints_its_url_and_numbers(sandbox: Sandbox) -> None:
    first, *lines = sandbox.lines

    assert first.startswith("KallyAI sandbox at http://127.0.0.1:")
    assert [line.split()[0] for line in lines[:3]] == [
        "+12025550100",
        "+12025550101",
        "+12025550103",
    ]
    assert f"Calls to other numbers wait to be picked up at {sandbox.url}/_sandbox/play\n" in lines
    assert f"  export KALLYAI_API_URL={sandbox.url}\n" in lines


@pytest.mark.programs
def test_the_sandbox_serves_its_pages_and_lines(sandbox: Sandbox) -> None:
    with httpx2.Client(base_url=sandbox.url, timeout=LIMIT) as http:
        document = http.get("/openapi.json").json()
        page = http.get("/", headers={"Accept": "text/html"}).text
        does = [http.get(f"/_sandbox/line/+120255501{end}").json()["does"] for end in ("42", "03")]

    assert "/v1/calls" in document["paths"]
    assert "+12025550100" in page
    assert does == ["is_played", "is_busy"]


@pytest.mark.programs
def test_the_sandbox_prints_each_call(tmp_path: Path, sandbox: Sandbox) -> None:
    signed_in = httpx2.post(f"{sandbox.url}/_sandbox/sign-in", json={}).json()
    user = {"API_URL": sandbox.url, "ACCESS_TOKEN": signed_in["access_token"]}
    for number in ("+12025550103", "+12025550121"):
        run_in_process(tmp_path, "call", number, "Ask", "--yes", **user)
    calling, busy, refused = (line.split(maxsplit=1)[1] for line in sandbox.next_lines(3))

    assert calling == "+12025550103 calling\n"
    assert busy.startswith("+12025550103 busy, ")
    assert refused == "+12025550121 refused: suppression_violation\n"


@pytest.mark.programs
def test_a_second_sandbox_needs_another_port(tmp_path: Path, sandbox: Sandbox) -> None:
    address = sandbox.url.removeprefix("http://")
    second = run_in_process(tmp_path, "sandbox", "--port", address.partition(":")[2])

    assert second.returncode == 1
    assert (
        second.stderr == f"Error: {address} is in use. Choose another --port; 0 takes a free one.\n"
    )


@pytest.mark.programs
@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't send signals to a process")
def test_ctrl_c_ends_the_sandbox(sandbox: Sandbox) -> None:
    sandbox.process.send_signal(signal.SIGINT)

    assert sandbox.process.wait(timeout=LIMIT) in (0, 130)


def test_the_demo_shows_three_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")  # as `uv run` does it
    done = run_in_process(tmp_path, "demo", "--speed", "1000")

    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stderr == ""
    for words in (
        "\n✓ Booked   SANDBOX    Fri ",
        "\n  0:01  They     Hello",
        "\n✗ Not reached   SANDBOX    busy",
        "\n✗ Not called   SANDBOX    This number is on the do-not-call list.\n",
        " of 35 calls, ",
        "\nNext, with a sandbox or with your KallyAI account:\n",
    ):
        assert words in done.stdout
    assert "get_transcript" not in done.stdout
    command = "  uv run kallyai-mcp install CLIENT"
    assert done.stdout.splitlines()[-2:] == [f"{command} --sandbox", command]
