"""Divides a text into lines for a terminal, between words, and never within a number."""

import re
import textwrap

_IN_A_NUMBER = re.compile(r"(?<=\d) (?=[\d(]|[AP]M\b|min\b|s\b|people\b)|(?<=[A-Z][a-z]{2}) (?=\d)")
"""A space in a number, or between it and its unit: "+1 415-555-1234", "7:00 PM", "Dec 4"."""

_LEAST = 20
"""The fewest columns in which a text is read easily beside its label."""

_GLUE = "\ue000"
"""Stands for such a space while lines are divided."""


def glued(text: str) -> str:
    """The text, in which a number with its unit is one word."""
    return _IN_A_NUMBER.sub(_GLUE, text)


def unglued(text: str) -> str:
    """The text as it was before `glued`."""
    return text.replace(_GLUE, " ")


def in_lines(text: str, columns: int) -> str:
    """The text, with its lines at most so many columns wide.

    A word that is longer, such as a link or a path, stays whole. So does a line that begins with a
    blank: it is a command to copy.
    """
    return "\n".join(_divided(line, columns) for line in text.split("\n"))


def _divided(line: str, columns: int) -> str:
    if line.startswith(" "):
        return line
    lines = textwrap.wrap(glued(line), columns, break_long_words=False, break_on_hyphens=False)
    return unglued("\n".join(lines))


def in_columns(label: str, text: str, columns: int) -> str:
    """A label and a text, which goes on below itself; below the label, if that leaves it little
    room.
    """
    indent = len(label)
    first = label
    if columns - indent < _LEAST:
        indent = len(label) - len(label.lstrip()) + 2
        first = f"{label.rstrip()}\n{' ' * indent}"
    lines = in_lines(text, columns - indent).split("\n")
    return first + f"\n{' ' * indent}".join(lines)


def day_and_time(when: str) -> list[str]:
    """The day and the time of "Fri Mar 5, 2027, 7:00 PM there"; a year belongs to its day."""
    return re.split(r", (?!\d{4}\b)", when)
