"""Changes one table in a TOML text and leaves the rest as it was; the counterpart of `json_text`."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from kallyai_mcp.cli.clients.errors import BadFormatError

_WHERE = re.compile(r"\(at line (\d+), column \d+\)")


def read(text: str) -> dict[str, Any]:
    """The tables of `text` (TOML 1.0).

    Raises:
        BadFormatError: It is no TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        _fail(text, error)
    except RecursionError:
        raise BadFormatError("it is nested too deeply", line=1) from None


def put(text: str, path: Sequence[str], value: Any) -> str:
    """`text` with `value` at `path`; tables on the way that are not there are made.

    Args:
        text: TOML.
        path: The keys that lead to it.
        value: Text, a list of texts, or a dict of such.

    Raises:
        BadFormatError: It is no TOML, or what is on the way is no table.
    """
    import tomlkit  # late: one client needs it

    before = read(text)
    wanted = _with(before, path, value, text)
    if wanted == before:
        return text
    if isinstance(value, dict):
        if _held(before, path) is not None:
            text = drop(text, path)
        appended = _appended(text, path, value)  # what stands above is sure to stay as it is
        if _loads(appended) == wanted:
            return appended
        table = tomlkit.inline_table()
        table.update(value)
        value = table
    document = tomlkit.parse(text)
    holder: Any = document
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return _checked(text, tomlkit.dumps(document), wanted)


def drop(text: str, path: Sequence[str]) -> str:
    """`text` without what is at `path`, if it is there.

    Raises:
        BadFormatError: It is no TOML.
    """
    import tomlkit

    before = read(text)
    if _held(before, path) is None:
        return text
    document = tomlkit.parse(text)
    holder: Any = document
    for key in path[:-1]:
        holder = holder[key]
    del holder[path[-1]]
    new = tomlkit.dumps(document)
    if new.endswith("\n\n") and not text.endswith("\n\n"):
        new = f"{new.rstrip(chr(10))}\n"  # the empty line that stood before the table
    return _checked(text, new, _without(before, path, prune=False), _without(before, path, prune=True))


def _appended(text: str, path: Sequence[str], value: Mapping[str, Any]) -> str:
    import tomlkit

    lines = [f"[{'.'.join(path)}]", *(f"{key} = {tomlkit.item(part).as_string()}" for key, part in value.items())]
    newline = "\r\n" if "\r\n" in text else "\n"
    gap = "" if not text else newline if text.endswith("\n") else newline * 2
    return text + gap + newline.join([*lines, ""])


def _checked(text: str, new: str, *wanted: dict[str, Any]) -> str:
    """`new`, with the line ends of `text`, if it says what it should: the guard against a slip of the library's."""
    if text.count("\n") == text.count("\r\n") > 0:
        new = new.replace("\r\n", "\n").replace("\n", "\r\n")
    if _loads(new) not in wanted:
        raise BadFormatError("its tables are laid out in a way that can't be changed safely", line=1)
    return new


def _held(tables: Mapping[str, Any], path: Sequence[str]) -> Any:
    held: Any = tables
    for key in path:
        held = held.get(key) if isinstance(held, dict) else None
    return held


def _with(tables: dict[str, Any], path: Sequence[str], value: Any, text: str) -> dict[str, Any]:
    key, *rest = path
    if not rest:
        return tables | {key: value}
    below = tables.get(key, {})
    if not isinstance(below, dict):
        line = next((number for number, line in enumerate(text.splitlines(), 1) if line.lstrip().startswith(key)), 1)
        raise BadFormatError(f'"{key}" is not a table', line=line)
    return tables | {key: _with(below, rest, value, text)}


def _without(tables: dict[str, Any], path: Sequence[str], *, prune: bool) -> dict[str, Any]:
    """`tables` without what is at `path`, and with `prune` without a table that it leaves empty."""
    key, *rest = path
    below = _without(tables[key], rest, prune=prune) if rest else {}
    keep = bool(rest) and (bool(below) or not prune)
    return {name: below if name == key else held for name, held in tables.items() if name != key or keep}


def _loads(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _fail(text: str, error: tomllib.TOMLDecodeError) -> NoReturn:
    found = _WHERE.search(str(error))
    line = int(found[1]) if found else text.count("\n") + 1
    reason = _WHERE.sub("", str(error)).strip().rstrip(".")
    raise BadFormatError(f"{reason[:1].lower()}{reason[1:]}", line=line) from None
