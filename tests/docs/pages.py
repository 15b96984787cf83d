"""The documentation for users: the README, the pages in docs/, and the pages in .github/."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md"), *(ROOT / ".github").glob("*.md")])


def text_of(name: str) -> str:
    """The text of a page, by its path from the root."""
    return (ROOT / name).read_text(encoding="utf-8")


def first_column(name: str, heading: str) -> list[str]:
    """The values in backticks in the first column of the table with this heading."""
    section = text_of(name).split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def without_code(text: str) -> str:
    """`text` without its blocks of code and its code spans."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^    .*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`]*`", "", text)


def shown_commands(text: str) -> list[str]:
    """The lines in blocks of code that run `kallyai-mcp`."""
    fenced = "\n".join(re.findall(r"^```(?:sh|bash|console)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    indented = "\n".join(re.findall(r"^    (.*)$", text, re.MULTILINE))
    return [line.strip() for line in f"{fenced}\n{indented}".splitlines() if line.strip().startswith("kallyai-mcp")]
