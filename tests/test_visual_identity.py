"""Colors, type, and mark are the same on all pages, and easy to see."""

import re
from pathlib import Path

from kallyai_mcp.visual_identity import MARK, TOKENS

PACKAGE = Path(__file__).parent.parent / "kallyai_mcp"


def test_the_sandboxs_copies_are_equal() -> None:
    templates = PACKAGE / "sandbox" / "templates"

    assert (templates / "tokens.css").read_text(encoding="utf-8") == TOKENS
    assert (templates / "mark.svg").read_text(encoding="utf-8") == f"{MARK}\n"


def test_the_mark_is_the_bundles_icon() -> None:
    icon = (PACKAGE / "bundle" / "icon.svg").read_text(encoding="utf-8")
    paths = re.findall(r' d="([^"]+)"', MARK)

    assert len(paths) == 2
    assert paths == re.findall(r' d="([^"]+)"', icon)
