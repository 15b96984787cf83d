"""The rows of the table of measurements: a figure, what it is compared with, and its goal."""

import os
import platform
import statistics
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

IS_SMOKE = "--smoke" in sys.argv
"""Whether a measurement is to be as short as it can be."""

HEAD = "| what | figure | compared with | goal |\n|---|---|---|---|"


def row(
    what: str,
    unit: str,
    ours: Sequence[float],
    theirs: Sequence[float] = (),
    against: str = "",
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> None:
    """Print a row: the median of the rounds, with the lowest and the highest one.

    With `theirs`, the results of the same rounds of what it is compared with, the goal is for the
    ratio, which is the median of the rounds' ratios; else it is for the figure.
    """
    ratios = [our / their for our, their in zip(ours, theirs, strict=True)] if theirs else []
    reached = round(statistics.median(ratios or ours), 2)
    goal = ""
    if at_most is not None:
        goal = f"at most {at_most:,g}: {'met' if reached <= at_most else 'missed'}"
    if at_least is not None:
        goal = f"at least {at_least:,g}: {'met' if reached >= at_least else 'missed'}"
    compared = f"{_range(ratios)} × {against}" if ratios else ""  # noqa: RUF001 - as in docs/performance.md
    print(f"| {what} | {_range(ours)} {unit} | {compared} | {goal} |", flush=True)


def not_measured(what: str, reason: str) -> None:
    """Print a row for what can't be measured on this machine."""
    print(f"| {what} | not measured: {reason} | | |", flush=True)


def _range(values: Sequence[float]) -> str:
    middle = _number(statistics.median(values))
    between = f"{_number(min(values))}\N{EN DASH}{_number(max(values))}"
    return middle if len(values) == 1 else f"{middle} ({between})"


def _number(value: float) -> str:
    """With about three digits; a whole number without a fraction."""
    places = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{places}f}"


def machine() -> str:
    """A description of this machine in one line."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    facts = [
        *models[:1],
        f"{os.cpu_count()} cores",
        platform.platform(),
        f"Python {platform.python_version()}",
    ]
    facts += [f"{package} {version(package)}" for package in ("mcp", "httpx2")]
    if hasattr(os, "getloadavg"):
        facts.append(f"load of the last minute {os.getloadavg()[0]:.1f}")
    return ", ".join(facts)
