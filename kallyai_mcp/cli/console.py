"""Prints lines, tables, and a changing line to a console of any encoding and width, with or without color."""

import codecs
import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, Self

import click

_FANCY, _PLAIN = "█░✓✗\u2026\u2013\u2014\u201c\u201d\u2018\u2019\u203a", "#-+x.--\"\"''>"
_ASCII = dict(zip(_FANCY, _PLAIN, strict=True))
"""Substitutes for characters that some encodings lack: blocks, signs, dashes, and quotation marks."""

_SUBSTITUTES = "kallyai_mcp_substitutes"
"""The name of the error handler of `prepare_streams`."""


def prepare_streams() -> None:
    """Have stdout and stderr print a substitute for each character that their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors=_SUBSTITUTES)


def _substitute(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_ASCII.get(char, "?") for char in error.object[error.start : error.end]), error.end


codecs.register_error(_SUBSTITUTES, _substitute)


def say(text: str = "", *, err: bool = False, **style: Any) -> None:
    """Print a line.

    Args:
        text: One line or more.
        err: Print to stderr.
        style: The arguments of `click.style`; used only on a terminal, and not when NO_COLOR is set.
    """
    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "ascii"
    # The stream's error handler is not enough: for a stream in ASCII, click writes UTF-8 instead.
    printable = text.encode(encoding, _SUBSTITUTES).decode(encoding)
    click.echo(styled(printable, **style), err=err, color=_color())


def styled(text: str, **style: Any) -> str:
    """`text` with the codes of a style (the arguments of `click.style`)."""
    return click.style(text, **style) if style else text


def _color() -> bool | None:
    """False if the user wants no color (no-color.org); None lets click decide by whether it prints to a terminal."""
    return False if os.environ.get("NO_COLOR") else None


def width() -> int:
    """The columns of the console, from 40 to 200; 80 if the output is not a console."""
    return max(40, min(shutil.get_terminal_size((80, 24)).columns, 200))


def has_edge() -> bool:
    """Whether lines should be cut at the edge of a console; lines for a pipe or a file are not cut."""
    return sys.stdout.isatty() or bool(os.environ.get("COLUMNS"))


def row_width() -> int:
    """The columns that a row of a table may take."""
    return width() if has_edge() else sys.maxsize


def wrapped(text: str, indent: str = "", hanging: str = "") -> str:
    """`text` in lines that fit the console. Paths and links are not broken, so that they can be copied.

    Args:
        text: The text.
        indent: The indentation of each line.
        hanging: The additional indentation of each line but the first.
    """
    return textwrap.fill(
        text,
        width(),
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def cells(text: str) -> int:
    """How many columns `text` takes: a wide character of East Asia or an emoji takes two, a combining mark none."""
    return sum(
        0 if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf") else
        2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )  # fmt: skip


def fitted(text: str, room: int) -> str:
    """`text` in exactly `room` columns: filled with spaces, or cut with an ellipsis."""
    if cells(text) > room:
        while text and cells(text) >= room:
            text = text[:-1]
        text = f"{text}…" if room > 0 else ""
    return text + " " * (room - cells(text))


def table(rows: Sequence[Sequence[str]], *, styles: Sequence[dict[str, Any]] = (), indent: str = "") -> list[str]:
    """Rows as lines with aligned columns; on a console, the last column is cut at the edge.

    Args:
        rows: The rows, which all have the same number of columns.
        styles: The style of each row's second column (the arguments of `click.style`); empty for no styles.
        indent: The indentation of each line.
    """
    if not rows:
        return []
    widths = [max(cells(row[column]) for row in rows) for column in range(len(rows[0]))]
    spare = row_width() - len(indent) - sum(widths[:-1]) - 2 * (len(widths) - 1)
    widths[-1] = max(min(widths[-1], spare), 0)
    lines = []
    for number, row in enumerate(rows):
        parts = [fitted(text, room) for text, room in zip(row, widths, strict=True)]
        if styles and styles[number] and len(parts) > 1:
            parts[1] = styled(parts[1], **styles[number])
        lines.append(f"{indent}{'  '.join(parts)}".rstrip())
    return lines


class LiveLine:
    """A line that changes in place on a terminal; elsewhere, it is printed once. It is a context manager.

    At the end of the context, the line is erased, and the next output takes its place.

    Args:
        err: Print the line to stderr.
    """

    def __init__(self, *, err: bool = True) -> None:
        self._err = err
        self._is_terminal = (sys.stderr if err else sys.stdout).isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._is_terminal:
            click.echo(f"\r{' ' * (width() - 1)}\r", nl=False, err=self._err)

    def show(self, text: str) -> None:
        """Print the line for the first time."""
        if self._is_terminal:
            self.update(text)
        else:
            say(text, err=self._err)

    def update(self, text: str) -> None:
        """Change the line; without a terminal, nothing is printed."""
        if self._is_terminal:
            click.echo(f"\r{fitted(text, width() - 1)}", nl=False, err=self._err)

    async def keep(self, text: Callable[[], str]) -> None:
        """Change the line to what `text` returns, every second, until this task is canceled."""
        from anyio import sleep  # late: few commands wait

        while True:
            await sleep(1)
            self.update(text())
