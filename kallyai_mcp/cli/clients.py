"""The MCP clients that `install` knows: where each has its servers, and the entry that starts this
one.
"""

import json
import os
import platform
import re
import shutil
import sys
import sysconfig
import tomllib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from kallyai_mcp.setting_values import switch
from kallyai_mcp.urls import is_loopback

Entry = dict[str, Any]


@dataclass(frozen=True)
class Client:
    """One MCP client.

    `path` returns the file that has its servers, in the `table`; only plain JSON is edited. `adds`
    and `removes` return the arguments with which its own `program` adds or removes an entry.
    """

    title: str
    path: Callable[[], Path]
    format: Literal["json", "toml", "yaml"] = "json"
    table: str = "mcpServers"
    shape: Literal["common", "typed", "opencode", "goose"] = "common"
    program: str = ""
    adds: Callable[[str, Entry], list[str]] | None = None
    removes: Callable[[str], list[str]] | None = None

    def entry(self, name: str, command: str, arguments: Sequence[str]) -> Entry:
        """The entry `name` that makes the client start `command`."""
        if self.shape == "opencode":
            return {"type": "local", "command": [command, *arguments], "enabled": True}
        if self.shape == "goose":
            started = {"type": "stdio", "name": name, "cmd": command, "args": [*arguments]}
            return {"enabled": True, **started, "envs": {}, "timeout": 300}
        started = {"command": command, "args": [*arguments]}
        if self.shape == "typed":
            return {"type": "stdio", **started}
        return started

    def is_here(self) -> bool:
        """Whether the client seems to be installed: its program, its file, or a folder that only it
        creates.
        """
        path = self.path()
        has_folder = path.parent != Path.home() and path.parent.is_dir()
        return has_folder or path.is_file() or shutil.which(self.program) is not None

    def to_paste(self, name: str, entry: Entry) -> str:
        """An entry as the file has it, for the user to paste.

        A value as JSON is TOML and YAML, too.
        """
        if self.format == "json":
            return json.dumps({self.table: {name: entry}}, indent=2, ensure_ascii=False)
        if self.format == "toml":
            return "\n".join([f"[{self.table}.{name}]", *_pairs(entry, "{} = {}")])
        return "\n".join([f"{self.table}:", f"  {name}:", *_pairs(entry, "    {}: {}")])

    def servers(self) -> dict[str, Any] | None:
        """The entries in the client's file, by name; None if this program can't read them."""
        try:
            document = self._parsed(self.path().read_text(encoding="utf-8-sig"))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError, RecursionError):
            return None
        match document:
            case dict():
                servers = document.get(self.table, {})
                return servers if isinstance(servers, dict) else None
        return None

    def entries(self) -> dict[str, Any]:
        """The entries that this program can read, by name."""
        return self.servers() or {}

    def _parsed(self, text: str) -> object:
        if self.format == "toml":
            return tomllib.loads(text)
        return json.loads(text or "{}")


def _pairs(entry: Entry, form: str) -> list[str]:
    return [form.format(key, json.dumps(value)) for key, value in entry.items()]


def command_of(entry: object) -> list[str] | None:
    """The command and the arguments of an entry that starts this program; None if it starts another
    one.
    """
    if not isinstance(entry, dict):
        return None
    words = [*_words(entry.get("command", entry.get("cmd"))), *_words(entry.get("args"))]
    names_us = any(re.search(r"kallyai[-_]mcp", word) for word in words)
    return words if names_us else None


def is_on_sandbox(entry: object) -> bool:
    """Whether an entry that starts this program has it call nobody: on the embedded sandbox, or on
    one of this machine.
    """
    if "--sandbox" in (command_of(entry) or ()):
        return True
    variables = variables_of(entry)
    host = urlsplit(str(variables.get("KALLYAI_API_URL", ""))).hostname
    return _is_on(str(variables.get("KALLYAI_SANDBOX", ""))) or is_loopback(host)


def _is_on(text: str) -> bool:
    with suppress(ValueError):  # neither on nor off: the server says so when it starts
        return switch(text)
    return False


def kind_of(entry: object) -> str:
    """Which calls the server of an entry places, for a person."""
    if command_of(entry) is None:
        return "other program"
    return "sandbox" if is_on_sandbox(entry) else "real calls"


def entry_state(client: Client, name: str) -> str:
    """Whether a client has an entry of this name, and which calls its server places."""
    entries = client.entries()
    return f"entry: {kind_of(entries[name])}" if name in entries else "no entry"


def variables_of(entry: object) -> dict[str, Any]:
    """The environment variables that an entry sets, by each name that clients have for them."""
    if not isinstance(entry, dict):
        return {}
    given = (entry.get(key) for key in ("env", "envs", "environment"))
    return next((one for one in given if isinstance(one, dict) and one), {})


OUT_OF_CLONE = 'in the clone, `uv tool install ".[sandbox]"`, then add the entry again'
"""How an entry gets a program that is not in the `.venv` of a clone."""


def clone_of(program: str) -> Path | None:
    """The folder of the clone in whose `.venv` a program is; None if it is installed elsewhere."""
    for folder in Path(program).parents:
        if folder.name == ".venv" and (folder.parent / "pyproject.toml").is_file():
            return folder.parent
    return None


def _words(value: object) -> list[str]:
    """The words in a value of an entry: a list of them, one, or none."""
    if isinstance(value, list):
        return list(map(str, value))
    if not value:
        return []
    return [str(value)]


def server_command(*, sandbox: bool) -> tuple[str, list[str]]:
    """The command that starts this server over stdio, and its arguments.

    It is an absolute path, because desktop programs have a short PATH.
    """
    serve = ["serve", "--sandbox"] if sandbox else []
    if program := shutil.which("kallyai-mcp", path=sysconfig.get_path("scripts")):
        return str(Path(program).absolute()), serve
    return sys.executable, ["-m", "kallyai_mcp", *serve]


def _folder(variable: str, *default: str) -> Path:
    """The folder in an environment variable if it is an absolute path, else `default` in the user's
    home folder.
    """
    named = Path(os.environ.get(variable, ""))
    return named if named.is_absolute() else Path.home().joinpath(*default)


def _config() -> Path:
    return _folder("XDG_CONFIG_HOME", ".config")


def _settings() -> Path:
    """The folder in which desktop programs keep the user's settings."""
    if platform.system() == "Windows":
        return _folder("APPDATA", "AppData", "Roaming")
    if platform.system() == "Darwin":
        return Path.home() / "Library" / "Application Support"
    return _config()


def _claude_desktop() -> Path:
    name = Path("Claude") / "claude_desktop_config.json"
    # Since 2026, Claude Desktop is an MSIX package on Windows, which sees this folder in place of
    # %APPDATA%\Claude.
    if platform.system() == "Windows":
        packages = _folder("LOCALAPPDATA", "AppData", "Local") / "Packages"
        folders = sorted(packages.glob("Claude_*/LocalCache/Roaming"))
        if folders:
            return folders[0] / name
    return _settings() / name


def _own_folder(on_windows: str, elsewhere: str) -> Path:
    """The folder of a client that uses `~/.config` on macOS, too."""
    if platform.system() == "Windows":
        return _settings() / on_windows
    return _config() / elsewhere


def _goose() -> Path:
    return _own_folder("Block/goose/config", "goose") / "config.yaml"


def _cline() -> Path:
    """The file of the extension for VS Code, if it is installed; else the file of Cline's command
    line.
    """
    folder = _settings() / "Code" / "User" / "globalStorage" / "saoudrizwan.claude-dev"
    if not folder.is_dir():
        folder = Path.home() / ".cline" / "data"
    return folder / "settings" / "cline_mcp_settings.json"


def _vs_code(title: str, folder: str, program: str) -> Client:
    return Client(
        title,
        lambda: _settings() / folder / "User" / "mcp.json",
        table="servers",
        shape="typed",
        program=program,
        adds=lambda name, entry: ["--add-mcp", json.dumps({"name": name, **entry})],
    )


def _codex_adds(name: str, entry: Entry) -> list[str]:
    variables = [f"--env={variable}={value}" for variable, value in entry.get("env", {}).items()]
    return ["mcp", "add", *variables, name, "--", entry["command"], *entry["args"]]


CLIENTS: dict[str, Client] = {
    "claude-desktop": Client("Claude Desktop", _claude_desktop),
    "claude-code": Client(
        "Claude Code",
        lambda: _folder("CLAUDE_CONFIG_DIR") / ".claude.json",
        shape="typed",
        program="claude",
        adds=lambda name, entry: ["mcp", "add-json", "--scope", "user", name, json.dumps(entry)],
        removes=lambda name: ["mcp", "remove", "--scope", "user", name],
    ),
    "cursor": Client("Cursor", lambda: Path.home() / ".cursor" / "mcp.json"),
    "vscode": _vs_code("VS Code", "Code", "code"),
    "vscode-insiders": _vs_code("VS Code Insiders", "Code - Insiders", "code-insiders"),
    "vscodium": _vs_code("VSCodium", "VSCodium", "codium"),
    "codex": Client(
        "Codex",
        lambda: _folder("CODEX_HOME", ".codex") / "config.toml",
        format="toml",
        table="mcp_servers",
        program="codex",
        adds=_codex_adds,
        removes=lambda name: ["mcp", "remove", name],
    ),
    "windsurf": Client(
        "Windsurf", lambda: Path.home() / ".codeium" / "windsurf" / "mcp_config.json"
    ),
    "gemini": Client(
        "Gemini CLI",
        lambda: _folder("GEMINI_CLI_HOME") / ".gemini" / "settings.json",
        program="gemini",
        adds=lambda name, entry: [
            "mcp",
            "add",
            "--scope",
            "user",
            name,
            entry["command"],
            *entry["args"],
        ],
        removes=lambda name: ["mcp", "remove", "--scope", "user", name],
    ),
    "opencode": Client(
        "OpenCode", lambda: _config() / "opencode" / "opencode.json", table="mcp", shape="opencode"
    ),
    "zed": Client(
        "Zed", lambda: _own_folder("Zed", "zed") / "settings.json", table="context_servers"
    ),
    "goose": Client("Goose", _goose, format="yaml", table="extensions", shape="goose"),
    "cline": Client("Cline", _cline),
}
"""The clients by the name that `install` takes, in the order in which they are listed."""


def client_named(text: str) -> str | None:
    """The name of the client that a user means by its name or its title, such as "Claude Code"."""
    given = "-".join(text.lower().replace("_", " ").split())
    by_title = {one.title.lower().replace(" ", "-"): name for name, one in CLIENTS.items()}
    name = by_title.get(given, given)
    return name if name in CLIENTS else None
