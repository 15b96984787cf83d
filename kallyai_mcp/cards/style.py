"""The colors, the fonts, the buttons, and the logo of all pages: cards, sign-in pages, and consent
pages.

The sandbox has copies, because it shares no code with the rest. A test compares them.
"""

import base64
import hashlib
from importlib.resources import files
from typing import Final

TOKENS: Final = files("kallyai_mcp.cards").joinpath("tokens.css").read_text(encoding="utf-8")
"""The variables and the buttons of all style sheets.

`--page` is the background of a page, `--ground` that of texts. `--line` is for the edges of
controls, with a contrast of at least 3:1 to `--ground`, also with the colors of a card's host;
`--hair` is for lines that only separate.
"""

MARK: Final = files("kallyai_mcp.cards").joinpath("mark.svg").read_text(encoding="utf-8").rstrip()
"""The logo as an SVG element for a page: a handset in a speech bubble, as in the bundle's icon."""

ICON: Final = MARK.replace('class="mark"', 'xmlns="http://www.w3.org/2000/svg"')
"""The logo as an SVG file."""


def as_data_uri(content: bytes, kind: str) -> str:
    """A file with the media type `kind` as a data URI (RFC 2397)."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def csp_hash(text: str) -> str:
    """The source expression that allows the inline style or script `text` in a Content Security
    Policy (level 3).
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
