"""`sandbox` and `demo`: what they print, and what they serve."""

import re
import signal
import sys
from itertools import islice
from pathlib import Path

import httpx2
import pytest

from tests.cli.machine import run_in_process
from tests.processes import LIMIT, started


def test_the_sandbox_prints_its_url_three_useful_numbers_and_each_call_until_ctrl_c(
    tmp_path: Path,
) -> None:
    with started(tmp_path, "sandbox", "--port", "0", "--speed", "100000", "--play") as process:
        assert process.stdout is not None
        first, *lines = islice(process.stdout, 11)
        url = first.split()[3]
        with httpx2.Client(base_url=url, timeout=LIMIT) as http:
            document, page = (
                http.get("/openapi.json").json(),
                http.get("/", headers={"Accept": "text/html"}).text,
            )
            token = http.post("/_sandbox/sign-in", json={}).json()["access_token"]
            does = [
                http.get(f"/_sandbox/line/+120255501{end}").json()["does"] for end in ("42", "03")
            ]
        for number in ("+12025550103", "+12025550121"):
            run_in_process(
                tmp_path, "call", number, "Ask", "--yes", API_URL=url, ACCESS_TOKEN=token
            )
        calls = [line.split(maxsplit=1)[1] for line in islice(process.stdout, 3)]
        second = run_in_process(tmp_path, "sandbox", "--port", url.rpartition(":")[2])
        if sys.platform != "win32":  # Windows can't send signals to a process
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=LIMIT) in (0, 130)

    assert first.startswith("KallyAI sandbox at http://127.0.0.1:")
    assert [line.split()[0] for line in lines[:3]] == [
        "+12025550100",
        "+12025550101",
        "+12025550103",
    ]
    assert f"Calls to other numbers wait to be picked up at {url}/_sandbox/play\n" in lines
    assert f"  export KALLYAI_API_URL={url}\n" in lines
    assert "/v1/calls" in document["paths"]
    assert "+12025550100" in page
    assert does == ["is_played", "is_busy"]
    assert calls[0] == "+12025550103 calling\n"
    assert calls[1].startswith("+12025550103 busy, ")
    assert calls[2] == "+12025550121 refused: suppression_violation\n"
    assert second.returncode == 1
    address = url.removeprefix("http://")
    assert (
        second.stderr == f"Error: {address} is in use. Choose another --port; 0 takes a free one.\n"
    )


def test_the_demo_shows_three_calls_and_what_to_do_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")  # as `uv run` does it
    done = run_in_process(tmp_path, "demo", "--speed", "1000")

    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stderr == ""
    for words in (
        "\nBooked: table for 4 at Italian Bistro (+1 415-555-1234), Fri ",
        "\n0:01 HUMAN: ",
        "\nThe appointment:\nTable for 4 at Italian Bistro, Fri ",
        "\nNot reached: busy at Busy Bistro (",
        "\nNot called: this number is on the do-not-call list",
        " of 35 calls left (and ",
        "\nNext, with a sandbox or with your KallyAI account:\n",
    ):
        assert words in done.stdout
    # By the callee's clock.
    assert re.search(r'not_before "[0-9-]{10}T(0[89]|1[0-9]|20|21):', done.stdout)
    command = "  uv run kallyai-mcp install CLIENT"
    assert done.stdout.splitlines()[-2:] == [f"{command} --sandbox", command]
