"""The command with which a client starts this server: an absolute path, because desktop programs have a short PATH."""

import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path

_NAME = "kallyai-mcp"
_UV_CACHE_FOLDER = re.compile(r"(archive|environments|builds)-v\d+")
"""A folder of uv's cache, where `uvx` creates environments that uv may delete."""


def server_command(*, sandbox: bool) -> tuple[str, list[str]]:
    """Return the command that starts this server over stdio, and its arguments.

    The command is `uvx` if `uvx` started this process; else the executable `kallyai-mcp` of this installation; else
    this Python.

    Args:
        sandbox: Serve on the embedded sandbox.
    """
    serve = ["serve", "--sandbox"] if sandbox else []
    is_in_uvx = any(_UV_CACHE_FOLDER.fullmatch(part) for part in Path(sys.prefix).parts)
    if is_in_uvx and (uvx := _uvx()) is not None:
        # The sandbox is an extra of the package, which only `--from` can name.
        return uvx, ["--from", f"{_NAME}[sandbox]", _NAME, *serve] if sandbox else [_NAME]
    for executable in (Path(sys.argv[0]), Path(sysconfig.get_path("scripts")) / _NAME):
        for path in (executable, executable.with_name(f"{executable.name}.exe")):
            if path.stem == _NAME and path.is_file() and os.access(path, os.X_OK):
                return str(path.absolute()), serve
    return sys.executable, ["-m", "kallyai_mcp", *serve]


def is_ours(entry: object) -> bool:
    """Whether an entry of a client's file starts this program."""
    if not isinstance(entry, dict):
        return False
    values = [entry.get(key) for key in ("command", "cmd", "args")]
    words = [word for value in values for word in (value if isinstance(value, list) else [value])]
    return any(isinstance(word, str) and re.search(r"kallyai[-_]mcp", word) for word in words)


def _uvx() -> str | None:
    """The absolute path of `uvx`: next to the `uv` that started this process (variable UV), else on the PATH."""
    uv = os.environ.get("UV")
    sibling = Path(uv).with_name(f"uvx{Path(uv).suffix}") if uv else None
    if sibling is not None and sibling.is_file():
        return str(sibling.absolute())
    found = shutil.which("uvx")
    return str(Path(found).absolute()) if found else None
