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
    r"kallyai-mcp demo --play": "tests/cli/test_played_demo.py",
    r"kallyai-mcp (serve|sandbox)( .*)?|docker compose .*": IN_CHECK,
    r"kallyai-mcp .*": IN_PROCESS,
    r"inspect eval kallyai_mcp/.*": "tests/evals/test_inspect_tasks.py",
    r"uv run python -m tests\.page_gallery .*": "tests/test_page_access.py",
    r"uv run python -m tests\.(cards|reference|supply renew|update).*": IN_CHECK,
    r"(pip install uv && )?uv run .*": IN_CI,
    (
        r"(git|uv (pip|tool|sync)|pip3? install|npm|npx|python3? -[cm]|\S+/bin/\w+|eval"
        r"|_KALLYAI\S+) .*"
    ): IN_CHECK,
}
"""What runs the commands of the pages: the first pattern that fits."""

_PROGRAMS = (
    r"kallyai-mcp|uvx?|pip3?|python3?|py|npm|npx|docker|git|curl|sudo|createdb|eval"
    r"|\S+/bin/\w+|_KALLYAI\S+"
)


def commands(page: Path) -> list[str]:
    """The commands on a page: its indented lines, and those with an argument in backticks in its
    sentences.
    """
    text = without_fences(page.read_text(encoding="utf-8"))
    in_sentences = re.findall(rf"`((?:{_PROGRAMS}) .+?)`", text)
    return re.findall(r"^    (.+)$", text, re.MULTILINE) + [
        line.replace("\\|", "|") for line in in_sentences
    ]


def all_commands() -> list[str]:
    """The commands on all pages, each once."""
    return list(dict.fromkeys(line for page in PAGES for line in commands(page)))


def run_by(command: str) -> str | None:
    """What runs a command; None if nothing does."""
    return next((file for pattern, file in RUN_BY.items() if re.fullmatch(pattern, command)), None)
