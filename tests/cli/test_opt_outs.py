"""`kallyai-mcp opt-outs`, and a call at the terminal to a number that has opted out."""

import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from kallyai_mcp.cli.main import cli
from kallyai_mcp.testing import KallyAISandbox
from tests.cli.machine import invoke, run_ok
from tests.cli.test_calls import home, signed_in, structure

__all__ = ["home", "signed_in"]

OPTS_OUT = "+12025550118"
WORDS = "Please do not call us again."


@pytest.fixture
def said() -> None:
    """A call in which they have asked not to be called again."""
    run_ok("call", OPTS_OUT, "Ask for the hours", "--yes")


def test_nobody_has_opted_out() -> None:
    assert run_ok("opt-outs") == "Nobody has asked not to be called again.\n"
    assert structure("opt-outs") == {"opt_outs": []}


@pytest.mark.usefixtures("said")
def test_what_they_said_is_listed() -> None:
    [listed] = structure("opt-outs")["opt_outs"]
    row = run_ok("opt-outs").rstrip("\n").split("\t")

    assert (listed["number"], listed["reason"], listed["quote"]) == (OPTS_OUT, "asked", WORDS)
    assert row[:3] == [listed["day"], "+1 202-555-0118", WORDS]
    assert listed["call_id"].startswith(row[3])


@pytest.mark.usefixtures("said")
def test_yes_without_a_question_is_refused() -> None:
    refused = invoke("call", OPTS_OUT, "Ask for the menu", "--yes")

    assert refused.exit_code == 1
    assert 'they asked not to be called again: "Please do not call us again"' in refused.stderr
    assert "kallyai-mcp opt-outs remove NUMBER" in refused.stderr


@pytest.mark.usefixtures("said")
def test_a_removed_number_is_called() -> None:
    removed = run_ok("opt-outs", "remove", "+1 202-555-0118")
    again = structure("call", OPTS_OUT, "Ask for the menu", "--yes")

    assert removed == "+1 202-555-0118 may be called again.\n"
    assert again["status"] == "success"


def test_a_number_that_is_not_listed_is_named() -> None:
    unknown = invoke("opt-outs", "remove", "+12025550103")

    assert unknown.exit_code == 1
    assert "+1 202-555-0103 is not among them." in unknown.stderr


@pytest.mark.usefixtures("said")
def test_tab_completes_a_number_to_remove() -> None:
    shell = ShellComplete(cli, {}, "kallyai-mcp", "_KALLYAI_MCP_COMPLETE")
    words = [one.value for one in shell.get_completions(["opt-outs"], "r")]
    numbers = [one.value for one in shell.get_completions(["opt-outs", "remove"], "+1202")]

    assert (words, numbers) == (["remove"], [OPTS_OUT])


@pytest.mark.programs
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals in Python")
@pytest.mark.usefixtures("said")
def test_a_person_is_asked_with_their_words(
    home: Path, signed_in: dict[str, str], kallyai_sandbox: KallyAISandbox
) -> None:
    from tests.cli.pseudo_terminal import on_terminal

    with on_terminal(home, "call", OPTS_OUT, "Ask for the menu", **signed_in) as terminal:
        terminal.read_until("they asked not to be called again")
        terminal.read_until("[y/N]:")
        terminal.type("y\n")
        assert terminal.wait() == 0

    assert len(kallyai_sandbox.calls) == 2
