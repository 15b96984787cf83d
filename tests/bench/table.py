"""What a measurement finds: figures, each beside what it is held against and its target, and the table of them."""

import argparse
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

HEADS = ("measurement", "what", "figure", "against", "ratio", "target", "verdict")
_TO_THE_RIGHT = {"figure", "ratio"}


@dataclass(frozen=True)
class Target:
    """What is to be reached.

    Attributes:
        sense: Whether `bound` is the most or the least that is good enough.
        bound: The number.
        of: Whether it bounds the ratio, which is judged as the table shows it, to two places, or the figure.
    """

    sense: Literal["at most", "at least"]
    bound: float
    of: Literal["ratio", "figure"] = "ratio"

    def __str__(self) -> str:
        """As "ratio at most 1.1", or "at least 1,000"."""
        return f"{'ratio ' if self.of == 'ratio' else ''}{self.sense} {self.bound:,g}"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: What the figure tells.
        figure: The figure, in `unit`; None if it could not be had on this machine.
        unit: As "ms".
        against: What it is held against, in words; empty if against nothing.
        base: What was found of that, in `unit`.
        ratio: The figure to `base`; of several rounds it is the median of their ratios, not the medians' ratio.
        target: What the ratio or the figure is to reach; None if nobody has set a target.
        lacking: Why there is no figure; empty if there is one.
    """

    what: str
    figure: float | None
    unit: str
    against: str = ""
    base: float | None = None
    ratio: float | None = None
    target: Target | None = None
    lacking: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if there is none, or nothing to hold to it."""
        if self.target is None:
            return None
        reached = self.figure if self.target.of == "figure" else self.ratio and round(self.ratio, 2)
        if reached is None:
            return None
        return reached <= self.target.bound if self.target.sense == "at most" else reached >= self.target.bound


ROWS = TypeAdapter(list[Row])
"""Rows as JSON, and back."""


def compared(
    what: str, unit: str, ours: Sequence[float], theirs: Sequence[float], against: str, target: Target | None = None
) -> Row:
    """A row of medians.

    Args:
        what: As a row's.
        unit: As a row's.
        ours: What each round found, in `unit`.
        theirs: What the same rounds found of what it is held against.
        against: As a row's.
        target: As a row's.
    """
    ratio = statistics.median(our / their for our, their in zip(ours, theirs, strict=True))
    return Row(what, statistics.median(ours), unit, against, statistics.median(theirs), ratio, target)


def rendered(measurements: Mapping[str, Sequence[Row]]) -> str:
    """The rows of all measurements, by their names, as one table (Markdown's), and below it what must be said of it."""
    lines: list[tuple[str, ...]] = [HEADS]
    for name, rows in measurements.items():
        above = ""
        for number, row in enumerate(rows):
            lines.append((name if number == 0 else "", row.what if row.what != above else "", *_cells(row)))
            above = row.what
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
    rule = [
        f"{'-' * (width - 1)}{':' if head in _TO_THE_RIGHT else '-'}" for head, width in zip(HEADS, widths, strict=True)
    ]
    table = [_line(cells, widths) for cells in (HEADS, rule, *lines[1:])]
    return "\n".join([*table, "", *_below(measurements)])


def _cells(row: Row) -> tuple[str, ...]:
    figure = f"{_number(row.figure)} {row.unit}" if row.figure is not None else "not measured"
    against = f"{_number(row.base)} {row.unit}, {row.against}" if row.base is not None else row.against
    ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
    verdict = {True: "met", False: "missed", None: ""}[row.met]
    return figure, against, ratio, str(row.target or ""), verdict


def _number(value: float) -> str:
    """To about three digits; whole numbers whole."""
    places = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{places}f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell.rjust(width) if head in _TO_THE_RIGHT else cell.ljust(width)
        for head, cell, width in zip(HEADS, cells, widths, strict=True)
    )
    return f"| {' | '.join(padded)} |"


def _below(measurements: Mapping[str, Sequence[Row]]) -> list[str]:
    lines = [
        f"not measured: {row.what} ({name}): {row.lacking}"
        for name, rows in measurements.items()
        for row in rows
        if row.figure is None
    ]
    verdicts = [row.met for rows in measurements.values() for row in rows if row.met is not None]
    if verdicts:
        lines.append(f"{sum(verdicts)} of {len(verdicts)} targets are met.")
    return lines


def machine() -> str:
    """What it is measured on, in one line."""
    facts = [_processor(), f"{os.cpu_count()} cores", platform.platform(), f"Python {platform.python_version()}"]
    facts += [f"{package} {version(package)}" for package in ("mcp", "httpx")]
    if hasattr(os, "getloadavg"):
        facts.append(f"load of the last minute {os.getloadavg()[0]:.1f}")
    return ", ".join(facts)


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def command(name: str, parser: argparse.ArgumentParser, measure: Callable[[argparse.Namespace], list[Row]]) -> None:
    """A measurement's command: it takes the options of `parser`, and prints the table, or its rows as JSON on request.

    Args:
        name: What the table calls it.
        parser: Its own options.
        measure: Measures as they say.
    """
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args()
    if options.json:
        print(ROWS.dump_json(measure(options)).decode())
        return
    print(f"{machine()}\n\n{rendered({name: measure(options)})}")
