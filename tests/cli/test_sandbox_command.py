import json
import signal
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.cli.machine import run_in_process
from tests.processes import LIMIT, run, started


def url_in(line: str) -> str:
    assert line.startswith("KallyAI sandbox at http://127.0.0.1:")
    return line.split()[3]


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=LIMIT) as response:  # noqa: S310 - a sandbox that the test started
        body: bytes = response.read()
    return body


def test_the_sandbox_prints_its_url_and_serves_its_documents(tmp_path: Path) -> None:
    with started(tmp_path, "sandbox", "--port", "0") as process:
        assert process.stdout is not None
        url = url_in(process.stdout.readline())

        assert "/v1/calls" in json.loads(fetch(f"{url}/openapi.json"))["paths"]
        assert b"+12025550100" in fetch(f"{url}/docs")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't send signals to a process")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_sandbox(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path, "sandbox", "--port", "0") as process:
        assert process.stdout is not None
        url_in(process.stdout.readline())
        process.send_signal(number)

        assert process.wait(timeout=10) in (0, 130)


def test_a_port_in_use_is_reported_in_one_line(tmp_path: Path) -> None:
    with started(tmp_path, "sandbox", "--port", "0") as process:
        assert process.stdout is not None
        port = url_in(process.stdout.readline()).rpartition(":")[2]
        second = run_in_process(tmp_path, "sandbox", "--port", port)

    assert second.returncode == 1
    assert second.stderr.startswith(f"Error: 127.0.0.1:{port} can't be listened on: ")
    assert len(second.stderr.splitlines()) == 1


def test_a_data_file_that_is_not_a_database_is_reported(tmp_path: Path) -> None:
    data = tmp_path / "notes.txt"
    data.write_text("Not a database, and too long to be taken for an empty one. " * 20)

    done = run_in_process(tmp_path, "sandbox", "--port", "0", "--data", str(data))

    assert done.returncode == 1
    assert f"Error: {data} can't be used as the sandbox's data" in done.stderr
    assert data.read_text().startswith("Not a database")


def test_a_data_folder_that_can_not_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = run_in_process(tmp_path, "sandbox", "--port", "0", "--data", str(tmp_path / "file" / "sandbox.db"))

    assert done.returncode == 1
    assert str(tmp_path / "file") in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_demo_exits_with_0_when_each_answer_is_right(tmp_path: Path) -> None:
    done = run(tmp_path, "demo")

    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stderr == ""
    for words in (
        "signed in as personal@sandbox.test",
        "165 of 210 minutes",
        'Done: "Reserved a table for 4 at Italian Bistro',
        "<<<transcript",
        "Table for 4 at Italian Bistro",
        "1 call, newest first",
        "Not called: the number is on the do-not-call list (suppression_violation)",
        "Each answer was what it should be.",
    ):
        assert words in done.stdout
