"""Changes one table in a TOML text (TOML 1.0) and leaves the rest unchanged; it has the functions of `json_text`."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from kallyai_mcp.cli.clients.errors import BadFormatError
from kallyai_mcp.cli.clients.round_trip import checked, drop_from, put_into

_TABLE = "a table"
_LINE = re.compile(r"\(at line (\d+), column \d+\)")


def read(text: str) -> dict[str, Any]:
    """Parse a text.

    Raises:
        BadFormatError: It is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        reason = _LINE.sub("", str(error)).strip().rstrip(".")
        line = int(found[1]) if found else text.count("\n") + 1
        reason = f"{reason[:1].lower()}{reason[1:]}"
        raise BadFormatError(reason, line=line) from None
    except RecursionError:
        raise BadFormatError("it is nested too deeply", line=1) from None


def put(text: str, path: Sequence[str], value: Any) -> str:
    """`text` with `value` at `path`; missing tables on the path are added.

    Args:
        text: TOML.
        path: The keys that lead to the value.
        value: A string, a list of strings, or a dict of these.

    Raises:
        BadFormatError: `text` is not TOML, or a value on the path is not a table.
    """
    import tomlkit  # late: one client needs it

    def line_of(key: str) -> int:
        return next((number for number, line in enumerate(text.splitlines(), 1) if line.lstrip().startswith(key)), 1)

    wanted = read(text)
    put_into(wanted, path, value, kind=_TABLE, line_of=line_of)
    if isinstance(value, dict):
        text = drop(text, path)
        appended = _append(text, path, value)  # appending can't change the rest of the text
        try:
            if read(appended) == wanted:
                return appended
        except BadFormatError:
            pass  # the tables are inline
        table = tomlkit.inline_table()
        table.update(value)
        value = table
    document = tomlkit.parse(text)
    put_into(document, path, value, kind=_TABLE, line_of=line_of)
    return checked(text, tomlkit.dumps(document), read, wanted)


def drop(text: str, path: Sequence[str]) -> str:
    """`text` without the value at `path`, if there is one.

    Raises:
        BadFormatError: `text` is not TOML.
    """
    import tomlkit

    before, wanted, without_parent = read(text), read(text), read(text)
    drop_from(wanted, path)
    if wanted == before:
        return text
    drop_from(without_parent, path[:1])  # with the last server, the library may remove the table of servers, too
    document = tomlkit.parse(text)
    drop_from(document, path)
    new = tomlkit.dumps(document)
    if new.endswith("\n\n") and not text.endswith("\n\n"):
        new = f"{new.rstrip(chr(10))}\n"  # the empty line before the table
    return checked(text, new, read, wanted, *([] if wanted[path[0]] else [without_parent]))


def _append(text: str, path: Sequence[str], value: Mapping[str, Any]) -> str:
    import tomlkit

    lines = [f"[{'.'.join(path)}]", *(f"{key} = {tomlkit.item(part).as_string()}" for key, part in value.items())]
    newline = "\r\n" if "\r\n" in text else "\n"
    gap = "" if not text else newline if text.endswith("\n") else newline * 2
    return text + gap + newline.join([*lines, ""])
