"""The documentation for users: the README, the pages in docs/, and the pages in .github/."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md"), *(ROOT / ".github").glob("*.md")])


def text_of(name: str) -> str:
    """The text of a page, by its path from the root."""
    return (ROOT / name).read_text(encoding="utf-8")


def fenced(page: str, language: str) -> list[str]:
    """The blocks between fences in this language, without the fences."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", text_of(page), re.MULTILINE | re.DOTALL)


def first_column(name: str, heading: str) -> list[str]:
    """The values in backticks in the first column of the table with this heading."""
    section = text_of(name).split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def without_fences(text: str) -> str:
    """`text` without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


IN_CHECK, IN_CI, IN_PROCESS = "tests/bundle/check.py", ".ci/run", "tests/docs/test_pages.py"

RUN_BY = {
    r"kallyai-mcp login.*": "tests/cli/test_login.py",
    r"kallyai-mcp (serve|sandbox)( .*)?|docker compose .*": IN_CHECK,
    r"kallyai-mcp .*": IN_PROCESS,
    r"(pip install uv && )?uv run .*|python -m tests\..*": IN_CI,
    r"(uv (tool|sync)|pip3? install|npm|npx|python3? -[cm]|\S+/bin/\w+|eval) .*": IN_CHECK,
}
"""What runs the commands of the pages: the first pattern that fits."""

NOT_RUN = {
    "git clone": "the page has no address",
    "uv run": "only the beginning of a command",
    "py -m pip": "of Windows",
    'eval "$(_KALLYAI_MCP_COMPLETE=zsh_source kallyai-mcp)"': "of zsh",
    "_KALLYAI_MCP_COMPLETE=fish_source kallyai-mcp | source": "of fish",
    "uv run pytest --snapshot-update tests/tools": "changes the snapshots, which the same without the option reads",
    "uv run python -m tests.first_answers": "changes a file, which tests/transports/test_first_answers.py reads",
    "python -m tests.first_answers": "the same",
    "uv run python -m tests.cards.pictures .github/pictures": "changes the pictures",
    "uv run python -m tests.supply renew": "changes the pins",
    "uv run python -m tests.reference FILE": "the reference is not in the repository",
    "uv run python -m tests.evals --model openai/gpt-5 --epochs 3": "a model costs money; `--check` is run",
}
"""Commands that nothing runs, with the reason."""

_PROGRAMS = r"kallyai-mcp|uvx?|pip3?|python3?|py|npm|npx|docker|git|curl|sudo|createdb|eval|\S+/bin/\w+|_KALLYAI\S+"


def commands(page: Path) -> list[str]:
    """The commands on a page: its indented lines, and those with an argument in backticks in its sentences."""
    text = without_fences(page.read_text(encoding="utf-8"))
    in_sentences = re.findall(rf"`((?:{_PROGRAMS}) .+?)`", text)
    return re.findall(r"^    (.+)$", text, re.MULTILINE) + [line.replace("\\|", "|") for line in in_sentences]


def all_commands() -> list[str]:
    """The commands on all pages, each once."""
    return list(dict.fromkeys(line for page in PAGES for line in commands(page)))


def run_by(command: str) -> str | None:
    """What runs a command; None if nothing does."""
    if command in NOT_RUN:
        return None
    return next((file for pattern, file in RUN_BY.items() if re.fullmatch(pattern, command)), None)
