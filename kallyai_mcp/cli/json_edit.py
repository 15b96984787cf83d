"""Changes one entry of a JSON file, and leaves every other character as it is."""

import json
import re
from collections.abc import Sequence
from typing import Any


def edited(text: str, path: Sequence[str], value: dict[str, Any] | None) -> str | None:
    """A JSON text with `value` at `path`, or without what is there if `value` is None.

    Text is only inserted, replaced, or removed at one place, so the rest keeps its layout. Each attempt is parsed and
    compared with the edit of the parsed data, so a wrong place can't be chosen.

    Returns:
        None if the text is not plain JSON (it may have comments), or an object on the path is something else.
    """
    unit = found[1] if (found := re.search(r'\n([ \t]+)"', text)) else "  "
    if not text.strip():
        return json.dumps({path[0]: {path[1]: value}}, indent=unit, ensure_ascii=False) + "\n"
    try:
        wanted = json.loads(text)
        if value is None:
            del wanted[path[0]][path[1]]
        else:
            wanted.setdefault(path[0], {})[path[1]] = value
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError):
        return None
    attempts = _without(text, path[1]) if value is None else _with(text, path, value, unit)
    return next((attempt for attempt in attempts if _is(attempt, wanted)), None)


def _is(text: str, wanted: object) -> bool:
    try:
        return bool(json.loads(text) == wanted)
    except ValueError:
        return False


def _places(text: str, name: str) -> list[tuple[int, int, int]]:
    """Where a member of this name may be in a JSON text: its begin, the begin of its value, and its end."""
    found = []
    for match in re.finditer(re.escape(json.dumps(name)) + r"\s*:\s*", text):
        try:
            found.append((match.start(), match.end(), json.JSONDecoder().raw_decode(text, match.end())[1]))
        except ValueError:  # a place within a text
            continue
    return found


def _with(text: str, path: Sequence[str], value: dict[str, Any], unit: str) -> list[str]:
    """Attempts to put a value into a JSON text: in place of the old one, into the table, or with a new table."""
    indent = None if "\n" not in text.strip() else unit
    newline = "\r\n" if "\r\n" in text else "\n"

    def shown(value: object, depth: int) -> str:
        lines = json.dumps(value, indent=indent, ensure_ascii=False).splitlines()
        return f"{newline}{unit * depth}".join(lines)

    def inserted(at: int, member: str, depth: int) -> str:
        """`text` with a member in front of those of the object that begins before `at`."""
        rest = text[at:].lstrip()
        if indent is None:
            return text[:at] + member + (", " if rest[:1] != "}" else "") + text[at:]
        before = newline + unit * depth
        return (
            text[:at] + before + member + ("," + text[at:] if rest[:1] != "}" else newline + unit * (depth - 1) + rest)
        )

    table, name = path
    attempts = [text[:at] + shown(value, 2) + text[end:] for _, at, end in _places(text, name)]
    member = f"{json.dumps(name)}: {shown(value, 2)}"
    attempts += [inserted(at + 1, member, 2) for _, at, _ in _places(text, table) if text[at] == "{"]
    new = f"{json.dumps(table)}: {shown({name: value}, 1)}"
    return [*attempts, inserted(text.index("{") + 1, new, 1)]


def _without(text: str, name: str) -> list[str]:
    """Attempts to remove a member from a JSON text, with the comma and the space around it."""
    attempts = []
    for start, _, end in _places(text, name):
        before, after = text[:start], text[end:]
        if after.lstrip().startswith(","):  # the next member takes its place
            attempts.append(before + after.lstrip()[1:].lstrip())
        attempts.append(before.rstrip().removesuffix(",") + after)
    return attempts
