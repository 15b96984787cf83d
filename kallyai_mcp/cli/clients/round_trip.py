"""Edits that a library makes in a text, whose layout it keeps: what TOML and YAML have in common.

The same edit is made in what the text means, by another parser, and the two are compared: a library may have bugs.
"""

from collections.abc import Callable, Sequence
from typing import Any

from kallyai_mcp.cli.clients.errors import BadFormatError

Read = Callable[[str], dict[str, Any]]
"""Parses a text."""


def put_into(
    tree: Any, path: Sequence[str], value: Any, *, kind: tuple[str, str], line_of: Callable[[str], int]
) -> None:
    """Set what is at `path`, and add what is missing on the way.

    Args:
        tree: What a text means, or a library's document.
        path: The keys that lead to the value.
        value: JSON types, or those of the library.
        kind: What has keys, in English and Spanish, such as ("a table", "una tabla").
        line_of: The line in which a key is set first.

    Raises:
        BadFormatError: Something on the way has no keys.
    """
    for key in path[:-1]:
        if tree.get(key) is None:
            tree[key] = {}
        tree = tree[key]
        if not isinstance(tree, dict):
            raise BadFormatError(f'"{key}" is not {kind[0]}', f'"{key}" no es {kind[1]}', line=line_of(key))
    tree[path[-1]] = value


def drop_from(tree: Any, path: Sequence[str]) -> None:
    """Remove what is at `path`, if there is anything."""
    for key in path[:-1]:
        tree = tree.get(key) or {}
    tree.pop(path[-1], None)


def checked(text: str, new: str, read: Read, *wanted: dict[str, Any]) -> str:
    """`new`, with the line ends of `text`.

    Raises:
        BadFormatError: It does not mean one of `wanted`.
    """
    if text.count("\n") == text.count("\r\n") > 0:
        new = new.replace("\r\n", "\n").replace("\n", "\r\n")
    if read(new) not in wanted:
        raise BadFormatError(
            "its layout can't be changed safely", "su disposición no se puede cambiar con seguridad", line=1
        )
    return new
