"""Prints to a console of any encoding and width."""

import shutil
import sys

import click

_ASCII = str.maketrans({"█": "#", "░": "-", "✓": "+", "✗": "x", "…": "...", "–": "-", "—": "-"})  # noqa: RUF001 - a dash


def say(text: str, *, err: bool = False) -> None:
    """Print a line, with substitutes for characters that the console can't show."""
    click.echo(_encodable(text, getattr(sys.stderr if err else sys.stdout, "encoding", None)), err=err)


def width() -> int:
    """The columns of the console, from 40 to 120; 80 if the output is not a console."""
    return max(40, min(shutil.get_terminal_size((80, 24)).columns, 120))


def _encodable(text: str, encoding: str | None) -> str:
    encoding = encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    return text
