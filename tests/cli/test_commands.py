"""The command line as a whole: completion, misspelled commands, and output in narrow encodings."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.machine import invoke
from tests.processes import COMMAND, LIMIT, environment


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        ("kallyai-mcp ca", ["plain,call", "plain,calls", "plain,calendar"]),
        ("kallyai-mcp call --par", ["plain,--party"]),
        ("kallyai-mcp install vs", ["plain,vscode", "plain,vscode-insiders", "plain,vscodium"]),
    ],
)
def test_a_shell_completes_commands_options_and_clients(tmp_path: Path, words: str, completions: list[str]) -> None:
    asked = {
        "_KALLYAI_MCP_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    done = subprocess.run(
        COMMAND, env=environment(tmp_path) | asked, capture_output=True, text=True, timeout=LIMIT, check=False
    )

    assert done.stdout.splitlines() == completions


def test_a_misspelled_command_is_answered_with_the_close_ones() -> None:
    assert "there is no command 'cal'; did you mean call" in invoke("cal").stderr
    assert "No such command 'xyz'" in invoke("xyz").stderr


@pytest.mark.parametrize("encoding", ["cp850", "cp932", "ascii"])
def test_what_an_encoding_lacks_is_replaced_whoever_prints_it(encoding: str) -> None:
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
