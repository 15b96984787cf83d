"""Sentences on a narrow terminal: no line ends within a word or a number."""

import sys
from pathlib import Path

import pytest

from kallyai_mcp.cli.wrapping import in_columns, in_lines

LINK = "https://api.kallyai.com/v1/auth/cli?state=0123456789abcdef"
ON_TERMINALS = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no pseudo-terminals in Python"
)
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


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (100, "  +12025550101  The time is taken at 7:00 PM"),
        (40, "  +12025550101  The time is taken at\n                7:00 PM"),
        (30, "  +12025550101\n    The time is taken at\n    7:00 PM"),
    ],
)
def test_a_text_goes_on_below_itself(columns: int, shown: str) -> None:
    assert in_columns("  +12025550101  ", "The time is taken at 7:00 PM", columns) == shown


def too_long(output: str) -> list[str]:
    """The lines that a terminal of 40 columns splits, except links, paths, and commands to copy."""
    lines = [line for line in output.splitlines() if len(line) > 40]
    return [line for line in lines if " " in line.strip() and not line.startswith("  export ")]


@pytest.mark.programs
@ON_TERMINALS
@pytest.mark.parametrize(
    "arguments",
    [
        ("login",),
        ("call", "+12025550100", "Ask", "--date", "tomorrow"),
        ("call", "12", "Ask"),
        ("call", "--help"),
        ("install", "cursor", "--sandbox"),
        ("demo", "--speed", "1000"),
    ],
    ids=" ".join,
)
def test_a_terminal_of_40_columns_splits_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    from tests.cli.pseudo_terminal import on_terminal

    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)  # a command to copy stays whole
    with on_terminal(tmp_path, *arguments, columns="40", SANDBOX="1") as terminal:
        terminal.wait()

    assert terminal.output
    assert too_long(terminal.output) == []


@pytest.mark.programs
@ON_TERMINALS
@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        (("sandbox", "--port", "0", "--play"), "one when it ends."),
        (("serve",), "Ctrl-C ends it."),
        (("serve", "--transport", "http", "--port", "0"), "/sse"),
    ],
    ids=["sandbox", "stdio", "http"],
)
def test_servers_split_nothing_on_40_columns(
    tmp_path: Path, arguments: tuple[str, ...], last: str
) -> None:
    from tests.cli.pseudo_terminal import on_terminal

    with on_terminal(tmp_path, *arguments, columns="40", SANDBOX="1") as terminal:
        terminal.read_until(last)

    assert too_long(terminal.output) == []
