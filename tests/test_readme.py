"""The tables and commands in the README agree with the code."""

import re
from pathlib import Path
from typing import get_args

import click

from kallyai_mcp.cli.clients.known import CLIENTS
from kallyai_mcp.cli.main import cli
from kallyai_mcp.sandbox.simulator.numbers import RULE_EXAMPLES, TEST_NUMBERS
from kallyai_mcp.settings import Auth, Settings
from kallyai_mcp.tools.catalog import tools

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def first_column(heading: str) -> list[str]:
    """The values in backticks in the first column of the table with this heading."""
    section = README.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def test_it_begins_with_one_sentence_and_the_two_commands() -> None:
    paragraphs = README.split("\n\n")

    assert paragraphs[0] == "# kallyai-mcp"
    assert paragraphs[1].endswith("brings back what was agreed.")
    assert paragraphs[2].splitlines() == [
        "    pip install uv && uv run kallyai-mcp demo",
        "    pip install uv && uv run pytest",
    ]


def test_it_lists_the_tools() -> None:
    assert first_column("tool") == [tool.name for tool in tools()]


def test_it_lists_the_commands() -> None:
    assert isinstance(cli, click.Group)
    assert set(first_column("command")) == {
        "kallyai-mcp",
        *(f"kallyai-mcp {name}" for name in cli.list_commands(click.Context(cli))),
    }


def test_it_lists_the_settings() -> None:
    attributes = {name.removesuffix("_override") for name in Settings.__dataclass_fields__}

    assert {name.removeprefix("KALLYAI_").lower() for name in first_column("variable")} == attributes


def test_it_lists_the_test_numbers() -> None:
    rows = [f"| `{entry.number}` | {entry.description} |" for entry in (*TEST_NUMBERS, *RULE_EXAMPLES)]

    assert "\n".join(rows) in README


def test_it_lists_the_clients_and_the_values_of_auth() -> None:
    section = README.split("| `kallyai-mcp install …` |", 1)[1].split("\n\n", 1)[0]

    assert re.findall(r"\| `([a-z-]+)` \|", section) == list(CLIENTS)
    assert first_column("`--auth`") == list(get_args(Auth))
