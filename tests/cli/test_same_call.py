"""The command that asks for a call again: what it prints can be typed, and asks for the same."""

import os
import shlex
from pathlib import Path

import pytest

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.other_time import with_other_time
from kallyai_mcp.cli.same_call import command_for_same_call
from kallyai_mcp.cli.service import Service
from kallyai_mcp.testing import KallyAISandbox
from kallyai_mcp.tools.text.plain import Reader
from tests.calls.ledgers import asked, submission, system_now
from tests.cli.machine import run_ok

BUSY = "+12025550103"
READER = Reader("America/New_York", system_now())
ON_POSIX = pytest.mark.skipif(os.name == "nt", reason="other shells quote otherwise")


@pytest.fixture(autouse=True)
def _signed_in(kallyai_sandbox: KallyAISandbox, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in kallyai_sandbox.env.items():
        monkeypatch.setenv(name, value)
    return Path(kallyai_sandbox.env["KALLYAI_HOME"])


def command_for(of: Submission) -> str | None:
    return command_for_same_call(asked(submission=of), READER, Service())


@ON_POSIX
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--business", 'Joe\'s "Diner"', "--name", "Ada", "--phone", "+12025550111", "--urgent"),
        ("--party", "4", "--date", "2027-03-05", "--time", "19:00", "--leeway", "after 5pm"),
        ("--category", "hotel", "--date", "2027-03-05", "--accept-other-time"),
        ("--also", "By the window; $HOME", "--also", "Is there parking?", "--lang", "es"),
        ("--party", "2", "--category", "general", "--timezone", "Europe/Madrid"),
    ],
    ids=["task", "names", "table", "hotel", "wishes", "zone"],
)
def test_the_command_asks_for_the_same_call(options: tuple[str, ...]) -> None:
    said = run_ok("call", BUSY, "Ask who's there", *options, "--yes", code=3)
    (line,) = [line for line in said.splitlines() if "Try again" in line]
    program, *words = shlex.split(line.removeprefix("  Try again"))
    at = words.index("--retries")
    again = run_ok(*words[:at], "--yes", code=3)

    assert program == "kallyai-mcp"
    assert "The same call was asked for before, so no new call was placed." in again
    assert "--redial" in again


@pytest.mark.parametrize(
    "instruction",
    [
        "This call is about the booking of call 3f0c: Fri Nov 27",
        "If that time is taken, agree to one of these: 20:00",
    ],
)
def test_a_call_beyond_all_options_has_no_command(instruction: str) -> None:
    of = submission(appointment_time="19:00", additional_instructions=(instruction,))

    assert command_for(of) is None


def test_text_for_a_shell_is_quoted() -> None:
    of = with_other_time(submission(task_description="Ask; rm -rf $HOME `id`"), accept=False)

    assert command_for(of) is not None
    assert shlex.split(command_for(of) or "")[3] == "Ask; rm -rf $HOME `id`"
