"""Edits of TOML and YAML texts by a library that keeps the layout: what both formats have in common.

Because a library may have defects, each edit is made a second time, in the parsed data. Then the edited text is parsed
by another parser, and both results are compared.
"""

from collections.abc import Callable, Sequence
from typing import Any

from kallyai_mcp.cli.clients.errors import BadFormatError

Read = Callable[[str], dict[str, Any]]
"""Parses a text."""


def put_into(tree: Any, path: Sequence[str], value: Any, *, kind: str, line_of: Callable[[str], int]) -> None:
    """Set the value at `path`, and add missing tables on the path.

    Args:
        tree: The parsed data, or a library's document.
        path: The keys that lead to the value.
        value: The value, of JSON types or of the library's types.
        kind: The word for something with keys, such as "a table".
        line_of: Returns the line in which a key is set first.

    Raises:
        BadFormatError: A value on the path has no keys.
    """
    for key in path[:-1]:
        if tree.get(key) is None:
            tree[key] = {}
        tree = tree[key]
        if not isinstance(tree, dict):
            raise BadFormatError(f'"{key}" is not {kind}', line=line_of(key))
    tree[path[-1]] = value


def drop_from(tree: Any, path: Sequence[str]) -> None:
    """Remove the value at `path`, if there is one."""
    for key in path[:-1]:
        tree = tree.get(key) or {}
    tree.pop(path[-1], None)


def checked(text: str, new: str, read: Read, *wanted: dict[str, Any]) -> str:
    """`new`, with the line ends of `text`.

    Raises:
        BadFormatError: `new`, as `read` parses it, is none of `wanted`.
    """
    if text.count("\n") == text.count("\r\n") > 0:
        new = new.replace("\r\n", "\n").replace("\n", "\r\n")
    if read(new) not in wanted:
        raise BadFormatError("its layout can't be changed safely", line=1)
    return new
