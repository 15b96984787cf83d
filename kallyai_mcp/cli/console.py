"""Saying something on a console, whatever it can show and however wide it is."""

import shutil
import sys

import click

_PLAIN = str.maketrans({"█": "#", "░": "-", "✓": "+", "✗": "x", "…": "...", "–": "-", "—": "-"})  # noqa: RUF001 - a dash


def say(text: str, *, err: bool = False) -> None:
    """Print a line; what the console can't show becomes something that it can."""
    click.echo(_fit(text, getattr(sys.stderr if err else sys.stdout, "encoding", None)), err=err)


def width() -> int:
    """The columns of the console: 80 where it is none; at least 40, and no more than what is pleasant to read."""
    return max(40, min(shutil.get_terminal_size((80, 24)).columns, 120))


def _fit(text: str, encoding: str | None) -> str:
    encoding = encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "replace").decode(encoding)
    return text
