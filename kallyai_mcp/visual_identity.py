"""The colors, the fonts, the buttons, and the logo of all pages: cards, sign-in pages, and consent pages.

The sandbox has copies, because it shares no code with the rest. A test compares them.
"""

import base64
import hashlib
from typing import Final

TOKENS: Final = """\
:root {
  color-scheme: light dark;
  --page: light-dark(#eef1f6, #0e131b);
  --ground: light-dark(#fff, #171e29);
  --raised: light-dark(#f4f6fa, #1f2836);
  --ink: light-dark(#16202e, #eef2f8);
  --soft: light-dark(#55627a, #a5b1c4);
  --line: color-mix(in srgb, var(--ink) 55%, var(--ground));
  --accent: light-dark(#1257c9, #8ab4ff);
  --on-accent: light-dark(#fff, #0b1526);
  --good: light-dark(#0a6d43, #4fd39a);
  --warn: light-dark(#8a5300, #f2b95c);
  --bad: light-dark(#b3261e, #ff8a80);
  --radius: 0.75rem;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
}
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
button, .button {
  display: inline-flex; align-items: center; justify-content: center; gap: 0.5rem;
  min-height: 2.75rem; min-width: 2.75rem; padding: 0.375rem 1rem; border: 1px solid var(--line);
  border-radius: var(--radius); background: var(--ground); color: var(--ink); font: inherit; font-weight: 600;
  text-align: center; text-decoration: none; overflow-wrap: anywhere; cursor: pointer;
}
button:hover, .button:hover { background: var(--raised); }
.primary { border-color: var(--accent); background: var(--accent); color: var(--on-accent); }
.primary:hover { background: color-mix(in srgb, var(--accent) 88%, var(--ink)); }
.danger { border-color: var(--bad); color: var(--bad); }
"""
"""The variables and the buttons of all style sheets. `--page` is the background of a page, `--ground` that of texts,
`--line` is for borders, with a contrast of at least 3:1 to `--ground`, also with the colors of a card's host."""

_BUBBLE: Final = (
    "M262 86c-97 0-174 70-174 158 0 47 22 89 57 118 1 23-8 45-27 63-5 5-2 13 5 13 38-1 72-14 96-33 14 3 28 5 43 5 97 0 "
    "174-74 174-166S359 86 262 86z"
)
_HANDSET: Final = (
    "M-124 20C-124-34-66-58 0-58S124-34 124 20v18a24 24 0 0 1-24 24H76a24 24 0 0 1-24-24V6c0-12-8-17-18-19a176 176 0 0 "
    "0-68 0c-10 2-18 7-18 19v32a24 24 0 0 1-24 24h-24a24 24 0 0 1-24-24z"
)
_PICTURE: Final = (
    '<rect width="512" height="512" rx="116" fill="#1257c9"/>'
    f'<path fill="#fff" d="{_BUBBLE}"/>'
    f'<path fill="#1257c9" transform="translate(254 238) rotate(-45)" d="{_HANDSET}"/></svg>'
)

MARK: Final = f'<svg class="mark" viewBox="0 0 512 512" aria-hidden="true">{_PICTURE}'
"""The logo as an SVG element for a page: a telephone handset in a speech bubble, as in the bundle's icon."""

ICON: Final = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512">{_PICTURE}'
"""The logo as an SVG file."""


def as_data_uri(content: bytes, kind: str) -> str:
    """A file with the media type `kind` as a data URI (RFC 2397)."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def csp_hash(text: str) -> str:
    """The source expression that allows the inline style or script `text` in a Content Security Policy (level 3)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
