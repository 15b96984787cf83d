"""Saves an appointment as a file that a calendar program opens."""

import re
from collections.abc import Iterator
from datetime import date
from itertools import count
from pathlib import Path

from kallyai_mcp.cli.output import CommandError
from kallyai_mcp.tools.facets.call import CallView

_LONGEST_NAME = 40
"""Characters of the name of the one who was called, in the name of the file."""


def save(ics: str, view: CallView) -> Path:
    """Write a calendar file into the current folder, and replace none; returns its path."""
    for path in _paths(view):
        try:
            with path.open("x", encoding="utf-8", newline="") as file:
                file.write(ics)
        except FileExistsError:
            continue
        except OSError as error:
            raise CommandError(f"{path} can't be written: {error.strerror}.") from None
        return path
    raise AssertionError("there is always another name")


def _paths(view: CallView) -> Iterator[Path]:
    """italian-bistro-2026-01-28.ics, italian-bistro-2026-01-28-2.ics, and so on."""
    name = "-".join(filter(None, [_called(view), _day(view.booking.event.start)]))
    yield Path(f"{name}.ics")
    for number in count(2):
        yield Path(f"{name}-{number}.ics")


def _called(view: CallView) -> str:
    words = re.findall(r"\w+", (view.callee_name or "appointment").casefold())
    return "-".join(words)[:_LONGEST_NAME].rstrip("-") or "appointment"


def _day(start: date | None) -> str:
    return "" if start is None else f"{start:%Y-%m-%d}"
