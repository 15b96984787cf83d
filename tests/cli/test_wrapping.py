"""Sentences on a narrow terminal: no line ends within a word or a number."""

import sys
from pathlib import Path

import pytest

from kallyai_mcp.cli.wrapping import in_lines

LINK = "https://api.kallyai.com/v1/auth/cli?state=0123456789abcdef"
COMMAND = "  uv run kallyai-mcp install claude-code --sandbox"


@pytest.mark.parametrize("columns", range(16, 41))
def test_lines_end_between_words_and_numbers(columns: int) -> None:
    text = f"Call +1 415-555-1234 at 7:00 PM, for 4 people, by {LINK} now."
    lines = in_lines(text, columns).splitlines()

    assert all(len(line) <= columns or line == LINK for line in lines)
    assert " ".join(lines) == text
    for whole in ("+1 415-555-1234", "7:00 PM", "4 people", LINK):
        assert any(whole in line for line in lines)


def test_a_command_and_a_blank_line_stay() -> None:
    text = f"To add it:\n\n{COMMAND}"

    assert in_lines(text, 20) == text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals in Python")
@pytest.mark.parametrize(
    "arguments",
    [
        ("login",),
        ("call", "+12025550100", "Ask", "--date", "tomorrow"),
        ("install", "cursor", "--sandbox"),
    ],
    ids=" ".join,
)
def test_a_terminal_of_40_columns_splits_nothing(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    from tests.cli.pseudo_terminal import on_terminal

    with on_terminal(tmp_path, *arguments, columns="40", SANDBOX="1") as terminal:
        terminal.wait()
    lines = terminal.output.splitlines()

    assert lines
    assert [line for line in lines if len(line) > 40 and " " in line.strip()] == []
