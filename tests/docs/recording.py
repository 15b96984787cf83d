"""Records a real run of the demo as an animated picture for the README: `python -m tests.docs.recording FOLDER`.

It writes `demo-light.svg` and `demo-dark.svg`. Pauses are shortened, so that the picture takes half a minute.
"""

import re
import sys
import tempfile
import time
from dataclasses import dataclass
from html import escape
from pathlib import Path

from tests.cli.pseudo_terminal import on_terminal
from tests.processes import COMMAND

COLUMNS, ROWS = 100, 26
LONGEST_PAUSE = 1.2
"""Seconds; a longer pause is shortened to this."""

SHORTEST_PAUSE = 0.16
"""Seconds between two lines, so that one can follow them."""

HOLD = 6.0
"""Seconds for which the last picture stays, before it begins again."""

CELL, LINE = 8.4, 19.0
THEMES = {
    "light": {"back": "#ffffff", "text": "#1f2328", "1": "#1f2328", "2": "#6e7781", "31": "#b42318", "32": "#116329",
              "33": "#7d4e00", "36": "#0b5a7a"},
    "dark": {"back": "#0d1117", "text": "#e6edf3", "1": "#ffffff", "2": "#8b949e", "31": "#ff9a90", "32": "#6fdd8b",
             "33": "#e3b341", "36": "#76d7f5"},
}  # fmt: skip
"""Colors by the number of the terminal's own (ECMA-48, SGR)."""

_CODE = re.compile(r"\x1b\[([0-9;]*)m")


@dataclass
class Shown:
    """A state of one line: its text with color codes, and from when to when it is shown, in seconds."""

    row: int
    text: str
    start: float
    end: float | None = None


def record() -> list[Shown]:
    """Run the demo on a terminal; returns every state of every line."""
    shown: list[Shown] = []
    row, at, last = 0, 0.4, time.monotonic()
    with tempfile.TemporaryDirectory() as home, on_terminal(Path(home), "demo", command=COMMAND) as terminal:
        seen = 0
        while True:
            is_open = terminal.read_some()
            now = time.monotonic()
            at += min(now - last, LONGEST_PAUSE)
            last = now
            *parts, _ = re.split(r"(\r\n|\r)", terminal.output[seen:])
            for text, end in zip(parts[::2], parts[1::2], strict=True):
                seen += len(text) + len(end)
                if shown and shown[-1].row == row:
                    shown[-1].end = at
                if text.strip():
                    shown.append(Shown(row, text.rstrip(), at))
                if end == "\r\n":
                    row, at = row + 1, at + SHORTEST_PAUSE
            if not is_open:
                break
        assert terminal.wait() == 0, terminal.output
    return shown


def picture(shown: list[Shown], colors: dict[str, str]) -> str:
    """The animated SVG."""
    total = max(state.start for state in shown) + HOLD
    steps = sorted({max(0, state.row - ROWS + 2): state.start for state in reversed(shown)}.items())
    scroll = "".join(f"{start / total:.3%}{{transform:translateY({-first * LINE:g}px)}}" for first, start in steps)
    last = -steps[-1][0] * LINE
    classes = "".join(f".c{code}{{fill:{color}}}" for code, color in colors.items() if code.isdigit())
    width, height = COLUMNS * CELL + 32, ROWS * LINE + 32
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}">
<title>kallyai-mcp demo, recorded</title>
<style>
text{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:{colors["text"]};white-space:pre}}
.c1{{font-weight:bold}}{classes}
.s{{animation:{total:g}s step-end infinite scroll}}
@keyframes scroll{{{scroll}}}
{_appearances(shown, total)}
@media (prefers-reduced-motion:reduce){{*{{animation:none!important}}.s{{transform:translateY({last:g}px)}}}}
</style>
<rect width="100%" height="100%" rx="8" fill="{colors["back"]}" stroke="#8b949e" stroke-opacity=".4"/>
<svg x="16" y="16" width="{width - 32:g}" height="{height - 32:g}"><g class="s">
{_lines(shown)}
</g></svg>
</svg>
"""


def _appearances(shown: list[Shown], total: float) -> str:
    frames = []
    for number, state in enumerate(shown):
        end = "" if state.end is None else f"{state.end / total:.3%}{{visibility:hidden}}"
        frames.append(
            f"@keyframes k{number}{{0%{{visibility:hidden}}{state.start / total:.3%}{{visibility:visible}}{end}}}"
            f"#t{number}{{animation:{total:g}s step-end infinite k{number}}}"
        )
    return "\n".join(frames)


def _lines(shown: list[Shown]) -> str:
    lines = []
    for number, state in enumerate(shown):
        spans, code = [], ""
        for index, part in enumerate(_CODE.split(state.text)):
            if index % 2:
                code = "" if part in ("", "0") else f"{code} c{part}".strip()
            elif part:
                spans.append(f'<tspan class="{code}">{escape(part)}</tspan>' if code else escape(part))
        hidden = ' visibility="hidden"' if state.end is not None else ""
        lines.append(f'<text id="t{number}" y="{(state.row + 1) * LINE:g}"{hidden}>{"".join(spans)}</text>')
    return "\n".join(lines)


def main(folder: Path) -> None:
    """Record the demo once, and write both pictures."""
    shown = record()
    for name, colors in THEMES.items():
        (folder / f"demo-{name}.svg").write_text(picture(shown, colors), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
