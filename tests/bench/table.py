"""The results of measurements: rows with a figure, what it is compared with, and its target, and their table."""

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
_RIGHT_ALIGNED = {"figure", "ratio"}


@dataclass(frozen=True)
class Target:
    """The value that a row should reach.

    Attributes:
        sense: Whether `bound` is the highest or the lowest value that meets the target.
        bound: The value.
        of: Whether the target is for the ratio, rounded to two places as the table shows it, or for the figure.
    """

    sense: Literal["at most", "at least"]
    bound: float
    of: Literal["ratio", "figure"] = "ratio"

    def __str__(self) -> str:
        """For example "ratio at most 1.1", or "at least 1,000"."""
        return f"{'ratio ' if self.of == 'ratio' else ''}{self.sense} {self.bound:,g}"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: What was measured.
        figure: The result, in `unit`; None if it could not be measured on this machine.
        unit: For example "ms".
        against: What it is compared with; empty if with nothing.
        base: The result of that, in `unit`.
        ratio: `figure` divided by `base`; the median of the rounds' ratios, not the ratio of the medians.
        target: The target of the ratio or the figure, if there is one.
        reason: Why there is no figure; empty if there is one.
        figures: The lowest and the highest result of a round, if there was more than one.
        ratios: The same of the rounds' ratios.
    """

    what: str
    figure: float | None
    unit: str
    against: str = ""
    base: float | None = None
    ratio: float | None = None
    target: Target | None = None
    reason: str = ""
    figures: tuple[float, float] | None = None
    ratios: tuple[float, float] | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if there is no target, or no result."""
        if self.target is None:
            return None
        reached = self.figure if self.target.of == "figure" else self.ratio and round(self.ratio, 2)
        if reached is None:
            return None
        return reached <= self.target.bound if self.target.sense == "at most" else reached >= self.target.bound


ROWS = TypeAdapter(list[Row])
"""Converts rows to JSON and back."""


def compared(
    what: str, unit: str, ours: Sequence[float], theirs: Sequence[float], against: str, target: Target | None = None
) -> Row:
    """A row of medians, with the lowest and the highest of the rounds.

    Args:
        what: See `Row`.
        unit: See `Row`.
        ours: The result of each round, in `unit`.
        theirs: The results of what it is compared with, in the same rounds.
        against: See `Row`.
        target: See `Row`.
    """
    ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
    return Row(
        what,
        statistics.median(ours),
        unit,
        against,
        statistics.median(theirs),
        statistics.median(ratios),
        target,
        figures=_range(ours),
        ratios=_range(ratios),
    )


def _range(values: Sequence[float]) -> tuple[float, float] | None:
    return (min(values), max(values)) if len(values) > 1 else None


def render(measurements: Mapping[str, Sequence[Row]]) -> str:
    """One Markdown table of all measurements, and notes: what was not measured, and how many targets are met."""
    lines: list[tuple[str, ...]] = [HEADS]
    for name, rows in measurements.items():
        previous = ""
        for number, row in enumerate(rows):
            lines.append((name if number == 0 else "", row.what if row.what != previous else "", *_cells(row)))
            previous = row.what
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
    separator = [
        f"{'-' * (width - 1)}{':' if head in _RIGHT_ALIGNED else '-'}"
        for head, width in zip(HEADS, widths, strict=True)
    ]
    table = [_line(cells, widths) for cells in (HEADS, separator, *lines[1:])]
    return "\n".join([*table, "", *_notes(measurements)])


def _cells(row: Row) -> tuple[str, ...]:
    figure = f"{_number(row.figure)} {row.unit}" if row.figure is not None else "not measured"
    if row.figures is not None:
        figure += f" ({_number(row.figures[0])}–{_number(row.figures[1])})"  # noqa: RUF001 - a range
    against = f"{_number(row.base)} {row.unit}, {row.against}" if row.base is not None else row.against
    ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
    if row.ratios is not None:
        ratio += f" ({row.ratios[0]:.2f}–{row.ratios[1]:.2f})"  # noqa: RUF001 - a range
    verdict = {True: "met", False: "missed", None: ""}[row.met]
    return figure, against, ratio, str(row.target or ""), verdict


def _number(value: float) -> str:
    """With about three digits; a whole number without a fraction."""
    places = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{places}f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell.rjust(width) if head in _RIGHT_ALIGNED else cell.ljust(width)
        for head, cell, width in zip(HEADS, cells, widths, strict=True)
    )
    return f"| {' | '.join(padded)} |"


def _notes(measurements: Mapping[str, Sequence[Row]]) -> list[str]:
    lines = [
        f"not measured: {row.what} ({name}): {row.reason}"
        for name, rows in measurements.items()
        for row in rows
        if row.figure is None
    ]
    verdicts = [row.met for rows in measurements.values() for row in rows if row.met is not None]
    if verdicts:
        lines.append(f"{sum(verdicts)} of {len(verdicts)} targets are met.")
    return lines


def machine() -> str:
    """A description of this machine in one line."""
    facts = [_processor(), f"{os.cpu_count()} cores", platform.platform(), f"Python {platform.python_version()}"]
    facts += [f"{package} {version(package)}" for package in ("mcp", "httpx2")]
    if hasattr(os, "getloadavg"):
        facts.append(f"load of the last minute {os.getloadavg()[0]:.1f}")
    return ", ".join(facts)


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def command(name: str, parser: argparse.ArgumentParser, measure: Callable[[argparse.Namespace], list[Row]]) -> None:
    """Run a measurement as a command, and print its table, or its rows as JSON with `--json`.

    Args:
        name: The measurement's name in the table.
        parser: Has the measurement's own options.
        measure: Measures, given the options.
    """
    # The servers are measured as they are installed: with bytecode. The warm-up writes what is not there yet.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args()
    if options.json:
        print(ROWS.dump_json(measure(options)).decode())
        return
    print(f"{machine()}\n\n{render({name: measure(options)})}")
