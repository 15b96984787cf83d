"""`install` without a client at a terminal: the questions, the entry, the server, a first call."""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner, Result

from kallyai_mcp.cli.clients import CLIENTS
from kallyai_mcp.cli.guided_install import guide
from kallyai_mcp.settings import Settings
from tests.cli.machine import entry_in, file_of, invoke, move_home, run_ok, write_file

if TYPE_CHECKING:
    from tests.cli.pseudo_terminal import PseudoTerminal

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no pseudo-terminals in Python"
)

ANOTHER = {"command": "npx", "args": ["another-kallyai"]}
EMPTY = '{"mcpServers": {}}'


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home folder, in which Cursor is found."""
    made = move_home(monkeypatch, tmp_path / "home")
    monkeypatch.setenv("NO_COLOR", "1")
    write_file("cursor", EMPTY)
    return made


@contextmanager
def guided(home: Path, *options: str, columns: str = "100") -> Iterator["PseudoTerminal"]:
    from tests.cli.pseudo_terminal import on_terminal

    with on_terminal(home / "kallyai", "install", *options, columns=columns) as terminal:
        yield terminal


def answer(terminal: "PseudoTerminal", question: str, typed: str) -> None:
    """Type a line after a question, which is the last line."""
    terminal.read_until(question)
    terminal.output = ""
    terminal.type(f"{typed}\n")


@pytest.mark.programs
def test_a_person_is_guided_to_a_first_call(home: Path) -> None:
    with guided(home) as terminal:
        answer(terminal, "Which one? [1]:", "")
        answer(terminal, "Which one? [1]:", "")
        terminal.read_until("The server works 9 tools")
        answer(terminal, "Place one? [Y/n]:", "")
        code = terminal.wait()

    assert code == 0
    assert entry_in("cursor")["args"][-2:] == ["serve", "--sandbox"]
    assert "✓ Answered" in terminal.output
    assert "Next: quit Cursor" in terminal.output


@pytest.mark.programs
def test_client_and_calls_are_chosen_by_name(home: Path) -> None:
    write_file("claude-code", EMPTY)
    with guided(home) as terminal:
        answer(terminal, "Which one? [1]:", "cursed")
        terminal.read_until("Type a number from 1 to 2, or the name.")
        answer(terminal, "Which one? [1]:", "cursor")
        answer(terminal, "Which one? [1]:", "real")
        answer(terminal, "Place one? [Y/n]:", "n")
        code = terminal.wait()

    assert code == 0
    assert "serve" not in entry_in("cursor")["args"]
    assert entry_in("claude-code") is None


def typed(*lines: str) -> Result:
    """What the guide says to somebody who types these lines, in this process."""

    @click.command()
    def guided_here() -> None:
        clients = {"cursor": CLIENTS["cursor"]}
        guide(clients, "kallyai", Settings.from_env(), wants_sandbox=False)

    return CliRunner().invoke(guided_here, input="".join(f"{line}\n" for line in lines))


@pytest.mark.programs
def test_a_number_or_a_name_chooses() -> None:
    result = typed("7", "cursor", "sand", "")

    assert result.exit_code == 0, result.output
    assert "Type a number from 1 to 1, or the name." in result.output
    assert "The server works   9 tools" in result.output
    assert entry_in("cursor")["args"][-2:] == ["serve", "--sandbox"]
    assert "SANDBOX" in result.output


@pytest.mark.programs
def test_no_first_call_is_placed_after_a_no() -> None:
    result = typed("", "2", "n")

    assert result.exit_code == 0, result.output
    assert "serve" not in entry_in("cursor")["args"]
    assert "SANDBOX" not in result.output


def test_another_programs_entry_stays_after_enter() -> None:
    write_file("cursor", json.dumps({"mcpServers": {"kallyai": ANOTHER}}))
    result = typed("1", "1", "")

    assert result.exit_code == 1
    assert 'has an entry "kallyai" of another program.' in result.output
    assert entry_in("cursor") == ANOTHER


@pytest.mark.programs
def test_a_server_that_fails_says_why() -> None:
    entry = {"command": "x", "args": [], "env": {"KALLYAI_CONFIRM": "perhaps"}}
    write_file("cursor", json.dumps({"mcpServers": {"kallyai": entry}}))
    result = typed("1", "1", "y")

    assert result.exit_code == 1
    assert "The server does not start: Error: KALLYAI_CONFIRM" in result.output


@pytest.mark.parametrize("lines", [(), ("1",)], ids=["no client", "no kind of calls"])
def test_an_input_that_ends_changes_nothing(lines: tuple[str, ...]) -> None:
    result = typed(*lines)

    assert result.exit_code == 1
    assert "Nothing was changed." in result.output
    assert file_of("cursor").read_text() == EMPTY


@pytest.mark.programs
def test_ctrl_c_at_a_question_changes_nothing(home: Path) -> None:
    with guided(home, "--sandbox") as terminal:
        terminal.read_until("Which one? [1]:")
        terminal.process.send_signal(signal.SIGINT)

        assert terminal.wait() == 130
    assert "Nothing was changed." in terminal.output
    assert file_of("cursor").read_text() == EMPTY


@pytest.mark.programs
def test_the_end_of_the_input_changes_nothing(home: Path) -> None:
    with guided(home, "--sandbox") as terminal:
        terminal.read_until("Which one? [1]:")
        terminal.type("\x04")

        assert terminal.wait() == 1
    assert file_of("cursor").read_text() == EMPTY


@pytest.mark.programs
def test_another_programs_entry_is_replaced_after_a_yes(home: Path) -> None:
    write_file("cursor", json.dumps({"mcpServers": {"kallyai": ANOTHER}}))
    with guided(home, "--sandbox") as terminal:
        terminal.read_until("entry: other program")
        answer(terminal, "Which one? [1]:", "")
        answer(terminal, "Replace it? [y/N]:", "")

        assert terminal.wait() == 1
    assert entry_in("cursor") == ANOTHER


@pytest.mark.programs
def test_a_pasted_entry_is_started_too(home: Path) -> None:
    write_file("cursor", '// mine\n{"mcpServers": {}}')
    with guided(home, "--sandbox") as terminal:
        answer(terminal, "Which one? [1]:", "")
        answer(terminal, "Then press Enter:", "")
        terminal.read_until("The server works")
        answer(terminal, "Place one? [Y/n]:", "n")

        assert terminal.wait() == 0


@pytest.mark.programs
def test_a_server_that_fails_is_an_error(home: Path) -> None:
    entry = {"command": "x", "args": [], "env": {"KALLYAI_CONFIRM": "perhaps"}}
    write_file("cursor", json.dumps({"mcpServers": {"kallyai-mcp": entry}}))
    with guided(home, "--sandbox", "--name", "kallyai-mcp") as terminal:
        answer(terminal, "Which one? [1]:", "")
        answer(terminal, "Replace it? [y/N]:", "y")

        assert terminal.wait() == 1
    assert "Error: The server does not start: Error: KALLYAI_CONFIRM" in terminal.output


@pytest.mark.programs
def test_a_narrow_terminal_splits_no_word(home: Path) -> None:
    with guided(home, columns="40") as terminal:
        answer(terminal, "Which one? [1]:", "")
        asked = terminal.read_until("Which one? [1]:")

    assert max(map(len, asked.splitlines())) <= 40


def test_an_entry_of_another_program_is_listed_so() -> None:
    write_file("cursor", json.dumps({"mcpServers": {"kallyai": ANOTHER}}))

    assert "  cursor           entry: other program\n" in run_ok("install")


def test_install_warns_of_a_clones_venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "clone" / ".venv" / "bin" / "kallyai-mcp"
    program.parent.mkdir(parents=True)
    (tmp_path / "clone" / "pyproject.toml").touch()
    program.touch(0o755)
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(program.parent))
    said = invoke("install", "cursor").stdout

    assert f"in the .venv of the clone {tmp_path / 'clone'}" in said
