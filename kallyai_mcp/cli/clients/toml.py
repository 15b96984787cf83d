"""Changes one table in a TOML text (TOML 1.0) and leaves the rest as it was; the counterpart of `json_text`."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from kallyai_mcp.cli.clients.errors import BadFormatError
from kallyai_mcp.languages import localized

_LINE = re.compile(r"\(at line (\d+), column \d+\)")


def read(text: str) -> dict[str, Any]:
    """Parse a text.

    Raises:
        BadFormatError: It is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        _fail(text, error)
    except RecursionError:
        raise BadFormatError(localized("it is nested too deeply", "tiene demasiados niveles"), line=1) from None


def put(text: str, path: Sequence[str], value: Any) -> str:
    """`text` with `value` at `path`; missing tables on the way are added.

    Args:
        text: TOML.
        path: The keys that lead to the value.
        value: A string, a list of strings, or a dict of these.

    Raises:
        BadFormatError: `text` is not TOML, or a value on the way is not a table.
    """
    import tomlkit  # late: one client needs it

    before = read(text)
    wanted = _with(before, path, value, text)
    if wanted == before:
        return text
    if isinstance(value, dict):
        if _get(before, path) is not None:
            text = drop(text, path)
        appended = _append(text, path, value)  # the text above is sure to stay as it is
        if _loads(appended) == wanted:
            return appended
        table = tomlkit.inline_table()
        table.update(value)
        value = table
    document = tomlkit.parse(text)
    parent: Any = document
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return _checked(text, tomlkit.dumps(document), wanted)


def drop(text: str, path: Sequence[str]) -> str:
    """`text` without the value at `path`, if there is one.

    Raises:
        BadFormatError: `text` is not TOML.
    """
    import tomlkit

    before = read(text)
    if _get(before, path) is None:
        return text
    document = tomlkit.parse(text)
    parent: Any = document
    for key in path[:-1]:
        parent = parent[key]
    del parent[path[-1]]
    new = tomlkit.dumps(document)
    if new.endswith("\n\n") and not text.endswith("\n\n"):
        new = f"{new.rstrip(chr(10))}\n"  # the empty line before the table
    return _checked(text, new, _without(before, path, prune=False), _without(before, path, prune=True))


def _append(text: str, path: Sequence[str], value: Mapping[str, Any]) -> str:
    import tomlkit

    lines = [f"[{'.'.join(path)}]", *(f"{key} = {tomlkit.item(part).as_string()}" for key, part in value.items())]
    newline = "\r\n" if "\r\n" in text else "\n"
    gap = "" if not text else newline if text.endswith("\n") else newline * 2
    return text + gap + newline.join([*lines, ""])


def _checked(text: str, new: str, *wanted: dict[str, Any]) -> str:
    """`new`, with the line ends of `text`, if it parses as one of `wanted`; this guards against bugs of the library."""
    if text.count("\n") == text.count("\r\n") > 0:
        new = new.replace("\r\n", "\n").replace("\n", "\r\n")
    if _loads(new) not in wanted:
        raise BadFormatError(
            localized("its layout can't be changed safely", "su disposición no se puede cambiar con seguridad"), line=1
        )
    return new


def _get(tables: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = tables
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _with(tables: dict[str, Any], path: Sequence[str], value: Any, text: str) -> dict[str, Any]:
    key, *rest = path
    if not rest:
        return tables | {key: value}
    below = tables.get(key, {})
    if not isinstance(below, dict):
        line = next((number for number, line in enumerate(text.splitlines(), 1) if line.lstrip().startswith(key)), 1)
        raise BadFormatError(localized(f'"{key}" is not a table', f'"{key}" no es una tabla'), line=line)
    return tables | {key: _with(below, rest, value, text)}


def _without(tables: dict[str, Any], path: Sequence[str], *, prune: bool) -> dict[str, Any]:
    """`tables` without the value at `path`; with `prune`, also without a table that becomes empty."""
    key, *rest = path
    below = _without(tables[key], rest, prune=prune) if rest else {}
    keep = bool(rest) and (bool(below) or not prune)
    return {name: below if name == key else value for name, value in tables.items() if name != key or keep}


def _loads(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _fail(text: str, error: tomllib.TOMLDecodeError) -> NoReturn:
    found = _LINE.search(str(error))
    line = int(found[1]) if found else text.count("\n") + 1
    reason = _LINE.sub("", str(error)).strip().rstrip(".")
    reason = f"{reason[:1].lower()}{reason[1:]}"
    raise BadFormatError(localized(reason, "no es TOML válido"), line=line) from None
