"""Draws a real run of the demo as an animated picture for the README: `python -m
tests.docs.recording FOLDER`.

It writes `demo-light.svg` and `demo-dark.svg`. The terminal is as narrow as a phone, and lines
appear at an even pace.
"""

import sys
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.style import Style
from rich.text import Text

from tests.cli.pseudo_terminal import on_terminal

COLUMNS, ROWS = 48, 24
EACH, HOLD = 0.2, 6.0
"""Seconds from one row to the next, and how long the end stays."""

CELL, LINE = 8.4, 19.0
THEMES = {
    "light": {
        "back": "#ffffff",
        "text": "#1f2328",
        "31": "#b42318",
        "32": "#116329",
        "33": "#7d4e00",
        "36": "#0b5a7a",
    },
    "dark": {
        "back": "#0d1117",
        "text": "#e6edf3",
        "31": "#ff9a90",
        "32": "#6fdd8b",
        "33": "#e3b341",
        "36": "#76d7f5",
    },
}
"""Colors by the number of the terminal's own (ECMA-48, SGR)."""

Row = tuple[float, list[tuple[str, str]]]
"""When a row appears, in seconds, and its words, each with its CSS classes."""


def record() -> list[Row]:
    """Run the demo in a terminal of this size; returns every row."""
    with (
        TemporaryDirectory() as home,
        on_terminal(Path(home), "demo", "--speed", "1000", columns=str(COLUMNS)) as terminal,
    ):
        if terminal.wait():
            raise SystemExit(terminal.output)
    lines = AnsiDecoder().decode(terminal.output.replace("\r\n", "\n"))
    rows = [[("$ kallyai-mcp demo", "c1")], *(_words(line) for line in lines)]
    return [(EACH * number, words) for number, words in enumerate(rows)]


def _words(line: Text) -> list[tuple[str, str]]:
    """The parts of a line, each with the CSS classes of its look."""
    segments = line.render(Console())
    return [(segment.text, _classes(segment.style or Style())) for segment in segments]


def _classes(style: Style) -> str:
    """Each look has the number that the terminal has for it; the colors begin at 30."""
    looks = {"c1": style.bold, "c2": style.dim, "c7": style.reverse}
    classes = [name for name, is_on in looks.items() if is_on]
    if style.color and style.color.number is not None:
        classes.append(f"c{30 + style.color.number}")
    return " ".join(classes)


def picture(rows: list[Row], colors: dict[str, str]) -> str:
    """The animated SVG."""
    total = rows[-1][0] + HOLD
    steps = {max(0, number - ROWS + 1): at for number, (at, _) in reversed([*enumerate(rows)])}
    scroll = "".join(
        f"{at / total:.3%}{{transform:translateY({-n * LINE:g}px)}}"
        for n, at in sorted(steps.items())
    )
    appear = "\n".join(
        f"@keyframes k{number}{{0%{{visibility:hidden}}{at / total:.3%}{{visibility:visible}}}}"
        f"#t{number}{{animation:{total:g}s step-end infinite k{number}}}"
        for number, (at, _) in enumerate(rows)
        if number
    )
    lines = "\n".join(
        f'<text id="t{number}" y="{(number + 0.75) * LINE:g}">'
        + "".join(
            f'<tspan class="{classes}">{escape(word)}</tspan>' if classes else escape(word)
            for word, classes in words
        )
        + "</text>"
        for number, (_, words) in enumerate(rows)
    )
    classes = "".join(
        f".c{code}{{fill:{color}}}" for code, color in colors.items() if code.isdigit()
    )
    width, height, last = COLUMNS * CELL + 32, ROWS * LINE + 32, -max(steps) * LINE
    still = f"*{{animation:none!important}}.s{{transform:translateY({last:g}px)}}"
    border = 'stroke="#8b949e" stroke-opacity=".4"'
    size = f'width="{width:g}" height="{height:g}"'
    font = "14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width:g} {height:g}">
<title>kallyai-mcp demo, recorded</title>
<style>
text{{font:{font};fill:{colors["text"]};white-space:pre}}
.c1{{font-weight:bold}}.c2{{fill-opacity:.65}}.c7{{font-weight:bold;fill-opacity:.65}}{classes}
.s{{animation:{total:g}s step-end infinite scroll}}
@keyframes scroll{{{scroll}}}
{appear}
@media (prefers-reduced-motion:reduce){{{still}}}
</style>
<rect width="100%" height="100%" rx="8" fill="{colors["back"]}" {border}/>
<svg x="16" y="16" width="{width - 32:g}" height="{height - 32:g}"><g class="s">
{lines}
</g></svg>
</svg>
"""


if __name__ == "__main__":
    recorded = record()
    for name, colors in THEMES.items():
        (Path(sys.argv[1]) / f"demo-{name}.svg").write_text(
            picture(recorded, colors), encoding="utf-8"
        )
