"""How a client is to start this very server: an absolute command, as a desktop program's PATH is a short one."""

import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path

_NAME = "kallyai-mcp"
_PASSING = re.compile(r"(archive|environments|builds)-v\d+")
"""Folders of uv's cache, in which `uvx` makes environments that may be gone tomorrow."""


def server_command(*, sandbox: bool) -> tuple[str, list[str]]:
    """The command that starts this server over stdio, and its arguments.

    It is `uvx` where this process was started by it, else the executable `kallyai-mcp` of this installation, else this
    Python.

    Args:
        sandbox: Serve on the embedded sandbox.
    """
    serve = ["serve", "--sandbox"] if sandbox else []
    if _in_uvx() and (uvx := _uvx()) is not None:
        # The sandbox is an extra, so the package has to be named apart from the command.
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
    words = [entry.get("command"), *(entry["args"] if isinstance(entry.get("args"), list) else [])]
    return any(isinstance(word, str) and re.search(r"kallyai[-_]mcp", word) for word in words)


def _in_uvx() -> bool:
    return any(_PASSING.fullmatch(part) for part in Path(sys.prefix).parts)


def _uvx() -> str | None:
    """The absolute path of `uvx`: beside the `uv` that started this process (it says so in UV), else on the PATH."""
    uv = os.environ.get("UV")
    beside = Path(uv).with_name(f"uvx{Path(uv).suffix}") if uv else None
    if beside is not None and beside.is_file():
        return str(beside.absolute())
    found = shutil.which("uvx")
    return str(Path(found).absolute()) if found else None
