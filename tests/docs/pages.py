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


def commands(page: Path) -> list[str]:
    """The commands on a page: its indented lines, and those in backticks in its sentences."""
    text = without_fences(page.read_text(encoding="utf-8"))
    return re.findall(r"^    (.+)$", text, re.MULTILINE) + re.findall(r"`((?:kallyai-mcp|uv|pip|python) .+?)`", text)


def is_run_with_pins(command: str) -> bool:
    """Whether `.ci/run` runs a command with pinned versions: what `uv run` does, and the packages of frameworks."""
    files = [ROOT / "tests" / "frameworks" / "snippets.py", *ROOT.glob("tests/**/package.json")]
    packages = {name for file in files for name in re.findall(r'"(@?[\w./-]+)(?:==|": ")', file.read_text("utf-8"))}
    is_for_contributors = re.search(r"(^|&& )uv run\b|python -m tests\.", command) is not None
    return is_for_contributors or not packages.isdisjoint(command.split())
