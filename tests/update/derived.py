"""The files that follow from others, and what they should be."""

from collections.abc import Mapping

from tests.docs.pages import DOCS, PAGES
from tests.programs import ROOT
from tests.update.blocks import blocks, filled
from tests.update.directories import directories
from tests.update.first_answers import first_answers
from tests.update.manifests import manifests
from tests.update.snapshots import snapshots

COMMAND = "uv run python -m tests.update"

SNAPSHOTS = "tests/tools/snapshots"
"""The folder of the snapshots, one for each tool."""


def as_it_stands(name: str) -> str | None:
    """The text of a file, by its path from the root; None if there is none."""
    path = ROOT / name
    return path.read_text(encoding="utf-8") if path.exists() else None


async def derived() -> dict[str, str]:
    """The text that each derived file should have, by its path from the root.

    Of a page, only the parts between its marks are derived. Raises `ValueError` if a mark, or a
    text by hand, is missing; the message says what to do.
    """
    files = {"kallyai_mcp/transports/first_answers.json": await first_answers()}
    for tool, text in (await snapshots()).items():
        files[f"{SNAPSHOTS}/{tool}.json"] = text
    files |= manifests()
    files |= directories(files)
    made = await blocks()
    for page in (*PAGES, DOCS / "llms.txt"):
        name = page.relative_to(ROOT).as_posix()
        files[name] = filled(name, page.read_text(encoding="utf-8"), made)
    return files


def leftover(files: Mapping[str, str]) -> list[str]:
    """The snapshots of tools that are gone."""
    found = sorted((ROOT / SNAPSHOTS).glob("*.json"))
    names = [path.relative_to(ROOT).as_posix() for path in found]
    return [name for name in names if name not in files]
