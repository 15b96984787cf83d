"""The command line as a whole: completion, misspelled commands, and output in narrow encodings."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kallyai_mcp.cli.main import cli
from tests.cli.machine import invoke
from tests.docs.pages import text_of
from tests.processes import LIMIT, environment

COMPLETIONS = [
    ("kallyai-mcp ca", ["call", "calls", "cancel", "calendar"]),
    ("kallyai-mcp call --par", ["--party"]),
    ("kallyai-mcp install vs", ["vscode", "vscode-insiders", "vscodium"]),
]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(("words", "completions"), COMPLETIONS)
def test_a_shell_completes_commands_options_and_clients(shell: str, words: str, completions: list[str]) -> None:
    last = words.split(" ")[-1] if shell == "fish" else str(words.count(" "))  # as click's script for each passes it
    asked = {"_KALLYAI_MCP_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": last}
    done = CliRunner(env=asked).invoke(cli, prog_name="kallyai-mcp")

    if shell == "zsh":  # three lines for each: its kind, itself, what it is
        assert done.stdout.splitlines()[1::3] == completions
    else:
        assert [re.split("[,\t]", line)[1] for line in done.stdout.splitlines()] == completions


@pytest.mark.skipif(sys.platform == "win32", reason="Windows comes without bash")
def test_the_line_in_the_documentation_makes_bash_complete(tmp_path: Path) -> None:
    (line,) = re.findall(r"\| bash [^|]*\| `[^`]+` \| `([^`]+)` \|", text_of("docs/terminal.md"))
    program = f"""{line}
complete -p kallyai-mcp
COMP_WORDS=(kallyai-mcp install vs) COMP_CWORD=2
_kallyai_mcp_completion kallyai-mcp
echo "${{COMPREPLY[@]}}"
"""
    own = environment(tmp_path)
    path = f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}"
    done = subprocess.run(
        ["/usr/bin/env", "bash", "-c", program],
        env=own | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )

    rule, completed = done.stdout.splitlines()
    assert rule.endswith("-F _kallyai_mcp_completion kallyai-mcp"), done.stderr
    assert completed == "vscode vscode-insiders vscodium"


def test_a_misspelled_command_is_answered_with_the_close_ones() -> None:
    assert "No such command 'cal'. (Did you mean one of: 'call', 'calls', 'cancel'?)" in invoke("cal").stderr
    assert "No such command 'xyz'" in invoke("xyz").stderr


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_names_of_clients_are_whole_in_the_help(command: str) -> None:
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(cli, [command, "--help"]).output

    assert re.search(r"\S-\n", shown) is None
    assert "claude-desktop, claude-code, cursor, vscode,\n" in shown


@pytest.mark.parametrize("encoding", ["cp850", "cp932", "ascii"])
def test_what_an_encoding_lacks_is_replaced_in_all_that_is_printed(encoding: str) -> None:
    program = (
        "from kallyai_mcp.cli.console import prepare_streams, say\n"
        "import click\n"
        "prepare_streams()\n"
        "say('\\u201cH\\xe9\\u201d \\u2026 \\u2588 \\u2713 \\u05d0')\n"
        "print('\\u2013 \\U0001f600')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONIOENCODING": encoding, "PATH": ""},
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    lines = done.stdout.decode(encoding).splitlines()

    assert done.returncode == 0, done.stderr
    assert lines[0].endswith(" ?")
    assert '"' in lines[0] or "\u201c" in lines[0]
    assert lines[1] in ("- ?", "\u2013 ?")
