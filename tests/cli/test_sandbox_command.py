import json
import signal
import sys
import urllib.request
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from tests.agent import open_agent, settings_in
from tests.cli.machine import run_in_process
from tests.processes import LIMIT, started
from tests.sandbox.manual_clock import ManualClock
from tests.sandbox.sandbox_app import sandbox_app


def url_in(line: str) -> str:
    assert line.startswith("KallyAI sandbox at http://127.0.0.1:")
    return line.split()[3]


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=LIMIT) as response:  # noqa: S310 - a sandbox that the test started
        body: bytes = response.read()
    return body


def test_the_sandbox_prints_its_url_and_three_useful_numbers_and_serves_its_documents(tmp_path: Path) -> None:
    with started(tmp_path, "sandbox", "--port", "0") as process:
        assert process.stdout is not None
        url = url_in(process.stdout.readline())
        numbers = [process.stdout.readline().split()[0] for _ in range(3)]
        rest = [process.stdout.readline().strip() for _ in range(6)]
        document = json.loads(fetch(f"{url}/openapi.json"))
        page = fetch(url)
        second = run_in_process(tmp_path, "sandbox", "--port", url.rpartition(":")[2])

    assert numbers == ["+12025550100", "+12025550101", "+12025550103"]
    assert f"export KALLYAI_API_URL={url}" in rest
    assert "/v1/calls" in document["paths"]
    assert b"+12025550100" in page
    # Its port is in use.
    assert second.returncode == 1
    address = url.removeprefix("http://")
    assert second.stderr == f"Error: {address} is in use. Choose another --port; 0 takes a free one.\n"


def test_with_play_calls_to_other_numbers_wait_to_be_picked_up_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    with started(tmp_path, "sandbox", "--port", "0", "--play") as process:
        assert process.stdout is not None
        url = url_in(process.stdout.readline())
        (said,) = [line for line in islice(process.stdout, 4) if "picked up" in line]

        assert said.endswith(f" {url}/_sandbox/play\n")
        assert json.loads(fetch(f"{url}/_sandbox/line/+12025550142")) == {"does": "is_played"}
        assert json.loads(fetch(f"{url}/_sandbox/line/+12025550103"))["does"] == "is_busy"
        if sys.platform != "win32":  # Windows can't send signals to a process
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) in (0, 130)


def test_data_that_can_not_be_used_is_reported_in_one_line(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("Not a database, and too long to be taken for an empty one. " * 20)
    for data in (notes, notes / "sandbox.db"):
        done = run_in_process(tmp_path, "sandbox", "--port", "0", "--data", str(data))

        assert done.returncode == 1
        assert str(notes) in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert notes.read_text().startswith("Not a database")


def test_the_demo_shows_three_calls_and_what_to_do_next(tmp_path: Path) -> None:
    done = run_in_process(tmp_path, "demo", "--speed", "1000")

    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stderr == ""
    for words in (
        "\nBooked: table for 4 at Italian Bistro (+1 415-555-1234), Fri ",
        "\n0:01 HUMAN: ",
        "\nThe appointment:\nTable for 4 at Italian Bistro, Fri ",
        "\nNot reached: the line of Busy Bistro (",
        "\nNot called: this number is on the do-not-call list",
        " of 35 calls left (and ",
        "\nEach answer was what it should be. ",
    ):
        assert words in done.stdout
    first, second = (line.strip() for line in done.stdout.splitlines()[-2:])
    assert first in ("kallyai-mcp install CLIENT --sandbox", "uv run kallyai-mcp install CLIENT --sandbox")
    assert second == first.removesuffix(" --sandbox")


def test_an_answer_that_is_not_what_it_should_be_fails_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kallyai_mcp.cli.demo._BISTRO", "+12025550103")  # a busy line
    done = run_in_process(tmp_path, "demo", "--speed", "1000")

    assert done.returncode == 1
    assert done.stderr == "Error: That should have been booked, not not_reached: please report it.\n"


async def test_it_reports_each_call(tmp_path: Path) -> None:
    lines: list[str] = []
    with sandbox_app(speed=100_000) as app:
        app.state.sandbox.report = lines.append
        clock = ManualClock(datetime.now(UTC))
        async with open_agent(settings_in(tmp_path), mode="auto", clock=clock, app=app) as agent:
            for number in ("+12025550103", "+12025550121"):
                await agent.use("make_call", task_category="general", task_description="Ask", respondent_phone=number)

    assert lines[0] == "+12025550103  calling"
    assert lines[1].startswith("+12025550103  busy, ")
    assert lines[2] == "+12025550121  refused: suppression_violation"
