"""Colors, type, and mark are the same on all pages, in the bundle, and in the server's icon."""

import base64
import re
import struct
from pathlib import Path

import pytest

from kallyai_mcp.cards.style import MARK, TOKENS
from tests.agent import Agent

PACKAGE = Path(__file__).parent.parent / "kallyai_mcp"
STYLES = [path for path in PACKAGE.rglob("*.css") if path.name != "tokens.css"]


def test_the_sandboxs_copies_are_equal() -> None:
    templates = PACKAGE / "sandbox" / "templates"

    assert (templates / "tokens.css").read_text(encoding="utf-8") == TOKENS
    frame = (PACKAGE / "auth" / "frame.css").read_text(encoding="utf-8")
    assert (templates / "frame.css").read_text(encoding="utf-8") == frame
    assert (templates / "mark.svg").read_text(encoding="utf-8") == f"{MARK}\n"


def test_the_mark_is_the_bundles_icon() -> None:
    icon = (PACKAGE / "bundle" / "icon.svg").read_text(encoding="utf-8")
    paths = re.findall(r' d="([^"]+)"', MARK)

    assert len(paths) == 2
    assert paths == re.findall(r' d="([^"]+)"', icon)


@pytest.mark.parametrize("path", STYLES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_style_sheets_use_the_common_colors_and_fonts(path: Path) -> None:
    # The sandbox's notice, Google's blue.
    own = r"--note(-ink|-line)?: light-dark\([^)]*\)|\.glyph\.google \{[^}]*\}"
    css = re.sub(own, "", path.read_text(encoding="utf-8"))

    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsl|system-ui|Menlo", css)
    assert set(re.findall(r"var\(--(\w[\w-]*)", css)) <= {
        *re.findall(r"--([\w-]+):", TOKENS + path.read_text(encoding="utf-8")),
        *("tone", "inset-top", "inset-right", "inset-bottom", "inset-left"),
    }


async def test_the_server_has_one_icon(agent: Agent) -> None:
    [icon] = (agent.client.server_info and agent.client.server_info.icons) or []

    content = base64.b64decode(icon.src.removeprefix("data:image/png;base64,"), validate=True)
    assert struct.unpack(">II", content[16:24]) == (48, 48)
    assert (icon.mime_type, icon.sizes) == ("image/png", ["48x48"])
