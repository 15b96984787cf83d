"""A table at the width of a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

from kallyai_mcp.cli.screen import NARROW, Terminal, console_for
from kallyai_mcp.cli.wrapping import in_lines

_GAP = 2
"""Blanks between two columns."""


@dataclass(frozen=True)
class Column:
    """A column; the cells of one that `shrinks` end with "…" where the terminal is too narrow."""

    header: str
    shrinks: bool = False


def rendered_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], terminal: Terminal
) -> str:
    """Rows with headers, one line each; on a narrow terminal, a block of lines for each."""
    if terminal.columns < NARROW:
        return "\n\n".join(_block(row, terminal.columns) for row in rows)
    from rich.table import Table

    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    for column, width in zip(columns, _widths(columns, rows, terminal), strict=True):
        table.add_column(column.header, no_wrap=True, overflow="ellipsis", width=width)
    for row in rows:
        table.add_row(*row)
    console = console_for(terminal)
    with console.capture() as written:
        console.print(table)
    return "\n".join(line.rstrip() for line in written.get().splitlines())


def _widths(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], terminal: Terminal
) -> list[int]:
    """The width of each column; those that shrink share the room that the others leave."""
    from rich.cells import cell_len

    widest = []
    for index, column in enumerate(columns):
        cells = (column.header, *(row[index] for row in rows))
        widest.append(max(map(cell_len, cells)))
    fixed = sum(width for width, one in zip(widest, columns, strict=True) if not one.shrinks)
    room = terminal.columns - fixed - _GAP * (len(columns) - 1)
    sharing = sum(column.shrinks for column in columns)
    widths = []
    for column, width in zip(columns, widest, strict=True):
        if column.shrinks:
            width = min(width, max(room // sharing, 1))
            room -= width
            sharing -= 1
        widths.append(width)
    return widths


def _block(row: Sequence[str], columns: int) -> str:
    """A row as lines: the first cell, and below it the others, each on lines of its own."""
    first, *rest = filter(None, row)
    lines = [line for cell in rest for line in in_lines(cell, columns - _GAP).split("\n")]
    return f"\n{' ' * _GAP}".join((first, *lines))
