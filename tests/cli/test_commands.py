"""The command line as a whole: help, completion, streams that end early, and folders that can't be
written.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kallyai_mcp.cli.main import cli, main
from kallyai_mcp.testing import KallyAISandbox
from tests import programs
from tests.cli.machine import run_in_process
from tests.docs.pages import text_of
from tests.processes import COMMAND, LIMIT, environment

POSIX = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no bash, /dev/full, or pseudo-terminals"
)


@pytest.mark.programs
@POSIX
def test_the_line_in_the_documentation_makes_bash_complete(tmp_path: Path) -> None:
    (line,) = re.findall(r"\| bash [^|]*\| `[^`]+` \| `([^`]+)` \|", text_of("docs/terminal.md"))
    program = f"""{line}
for words in "call --par" "install vs"; do
  COMPREPLY=() COMP_WORDS=(kallyai-mcp $words) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
  _kallyai_mcp_completion kallyai-mcp
  echo "${{COMPREPLY[@]}}"
done
"""
    own = environment(tmp_path)
    path = f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}"
    done = programs.run(["bash", "-c", program], variables=own | {"PATH": path}, seconds=LIMIT)

    assert done.stdout.splitlines() == ["--party", "vscode vscode-insiders vscodium"]


def test_the_help_of_every_command_fits_40_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    for command in ([], *([name] for name in cli.commands)):
        with pytest.raises(SystemExit) as exit_info:
            main([*command, "--help"])
        lines = capsys.readouterr().out.splitlines()

        assert exit_info.value.code == 0
        assert [line for line in lines if len(line) > 40] == []
        assert any("Show this message" in line for line in lines)


@pytest.mark.programs
@POSIX
def test_unwritable_output_ends_in_one_line(
    tmp_path: Path, kallyai_sandbox: KallyAISandbox
) -> None:
    signed_in = {"API_URL": kallyai_sandbox.url, "ACCESS_TOKEN": kallyai_sandbox.access_token}
    reader, writer = os.pipe()
    os.close(reader)
    for target, command in ((writer, "--help"), (os.open("/dev/full", os.O_WRONLY), "status")):
        done = subprocess.run(
            [*COMMAND, command],
            stdout=target,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(tmp_path, **signed_in),
            timeout=LIMIT,
            check=False,
        )
        os.close(target)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) <= 1, done.stderr
        assert "Traceback" not in done.stderr


def test_an_unwritable_home_ends_in_one_line(
    tmp_path: Path, kallyai_sandbox: KallyAISandbox
) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "below"
    signed_in = {"API_URL": kallyai_sandbox.url, "ACCESS_TOKEN": kallyai_sandbox.access_token}
    task = ("call", "+12025550103", "Ask for the hours", "--yes")
    placed, as_json = (
        run_in_process(home, *task, *more, **signed_in) for more in ((), ("--json",))
    )

    assert placed.returncode == 1
    assert "Traceback" not in placed.stderr
    assert placed.stderr.splitlines()[-1].startswith("✗ Not called ")
    assert json.loads(as_json.stdout)["code"] == "ledger_unavailable"
    assert kallyai_sandbox.calls == []


@pytest.mark.programs
@POSIX
def test_times_follow_the_locale(tmp_path: Path) -> None:
    program = (
        "from kallyai_mcp.cli.output import follow_locale\n"
        "from kallyai_mcp.tools.text.plain import Reader, when\n"
        "from datetime import UTC, datetime\n"
        "follow_locale()\n"
        "now = datetime(2026, 11, 28, 9, 5, tzinfo=UTC)\n"
        "print(when(now, Reader('UTC', now)))\n"
    )
    try:
        made = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(tmp_path / "de_DE.UTF-8")]
        programs.run_well(made)
    except RuntimeError:
        pytest.skip("needs the sources of locales, in the package locales")
    german = {"LOCPATH": str(tmp_path), "LC_ALL": "de_DE.UTF-8"}
    done = programs.run([sys.executable, "-c", program], variables=german, seconds=LIMIT)

    assert done.stdout == "28 Nov 9:05\n", done.stderr


@pytest.mark.programs
def test_characters_that_cannot_be_printed_are_replaced() -> None:
    program = (
        "from kallyai_mcp.cli.output import prepare_streams, say\n"
        "prepare_streams()\n"
        "say('H\\xe9 \\u2713 \\u05d0')\n"
        "print('\\U0001f600')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONIOENCODING": "cp850", "PATH": ""},
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.decode("cp850").split()[1:] == ["?", "?", "?"]
