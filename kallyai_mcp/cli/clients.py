"""The MCP clients that `install` knows: where each has its servers, and the entry that starts this one."""

import json
import os
import re
import shutil
import sys
import sysconfig
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

_NAME = "kallyai-mcp"
_UV_CACHE_FOLDER = re.compile(r"(archive|environments|builds)-v\d+")
"""A folder of uv's cache, where `uvx` creates environments that uv may delete."""

Entry = dict[str, Any]

_RESTART = "restart {}, and see in its settings, under MCP, that it is on"


@dataclass(frozen=True)
class Machine:
    """The facts about a machine on which the path of a client's file depends."""

    platform: str
    environ: Mapping[str, str]
    home: Path

    @classmethod
    def this(cls) -> "Machine":
        """This machine, from this process's environment."""
        return cls(sys.platform, os.environ, Path.home())

    def folder(self, variable: str, *default: str) -> Path:
        """The folder in an environment variable if it is an absolute path, else `default` in the home folder."""
        named = Path(self.environ.get(variable, ""))
        return named if named.is_absolute() else self.home.joinpath(*default)

    @property
    def settings(self) -> Path:
        """The folder in which desktop programs keep the user's settings."""
        if self.platform == "win32":
            return self.folder("APPDATA", "AppData", "Roaming")
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        return self.folder("XDG_CONFIG_HOME", ".config")


@dataclass(frozen=True)
class Client:
    """One MCP client. `path` returns the file that has its servers, in the `table`; only plain JSON is edited.

    `reload` says what makes the client read its servers again. `adds` and `removes` are the arguments with which its
    own `program` does it: `{name}`, `{entry}` (JSON), `{named}` (JSON with the name), and `{command}` stand for values.
    """

    title: str
    path: Callable[[Machine], Path]
    reload: str
    format: Literal["json", "toml", "yaml"] = "json"
    table: str = "mcpServers"
    shape: Literal["common", "typed", "opencode", "goose"] = "common"
    program: str = ""
    adds: str = ""
    removes: str = ""

    def entry(self, name: str, command: str, arguments: Sequence[str]) -> Entry:
        """The entry `name` that makes the client start `command`."""
        match self.shape:
            case "opencode":
                return {"type": "local", "command": [command, *arguments], "enabled": True}
            case "goose":
                started = {"type": "stdio", "name": name, "cmd": command, "args": [*arguments]}
                return {"enabled": True, **started, "envs": {}, "timeout": 300}
            case "typed":
                return {"type": "stdio", "command": command, "args": [*arguments]}
            case "common":
                return {"command": command, "args": [*arguments]}

    def is_on(self, machine: Machine) -> bool:
        """Whether the client seems to be installed: its program, its file, or a folder that only it creates."""
        path = self.path(machine)
        has_folder = path.parent != machine.home and path.parent.is_dir()
        return has_folder or path.is_file() or shutil.which(self.program) is not None

    def to_paste(self, name: str, entry: Entry) -> str:
        """An entry as the file has it, for the user to paste. A value as JSON is TOML and YAML, too."""
        if self.format == "json":
            return json.dumps({self.table: {name: entry}}, indent=2, ensure_ascii=False)
        values = {key: json.dumps(value) for key, value in entry.items()}
        if self.format == "toml":
            return "\n".join([f"[{self.table}.{name}]", *(f"{key} = {value}" for key, value in values.items())])
        return "\n".join([f"{self.table}:", f"  {name}:", *(f"    {key}: {value}" for key, value in values.items())])

    def command(self, template: str, name: str, entry: Entry) -> list[str]:
        """The command line of the client's own program, from `adds` or `removes`."""
        started = [entry["command"], *entry["args"]] if "command" in entry else []
        words = {"{name}": [name], "{entry}": [json.dumps(entry)], "{command}": started}
        words["{named}"] = [json.dumps({"name": name, **entry})]
        program = shutil.which(self.program) or ""
        return [program, *(word for part in template.split() for word in words.get(part, [part]))]

    def servers(self, text: str) -> dict[str, Any] | None:
        """The entries in the text of the client's file, by name; None if this program can't read them."""
        try:
            document = tomllib.loads(text) if self.format == "toml" else json.loads(text or "{}")
        except (ValueError, RecursionError):
            return None
        servers = document.get(self.table, {}) if isinstance(document, dict) else None
        return servers if isinstance(servers, dict) else None


def command_of(entry: object) -> list[str] | None:
    """The command and the arguments of an entry that starts this program; None if it starts another one."""
    if not isinstance(entry, dict):
        return None
    values = [entry.get("command", entry.get("cmd")), entry.get("args")]
    words = [str(word) for value in values for word in (value if isinstance(value, list) else [value] if value else [])]
    return words if any(re.search(r"kallyai[-_]mcp", word) for word in words) else None


def server_command(*, sandbox: bool) -> tuple[str, list[str]]:
    """The command that starts this server over stdio, and its arguments.

    It is an absolute path, because desktop programs have a short PATH: `uvx` if that started this process; else the
    executable of this installation; else this Python.
    """
    serve = ["serve", "--sandbox"] if sandbox else []
    if any(_UV_CACHE_FOLDER.fullmatch(part) for part in Path(sys.prefix).parts) and (uvx := _uvx()) is not None:
        # The sandbox is an extra of the package, which only `--from` can name.
        return uvx, ["--from", f"{_NAME}[sandbox]", _NAME, *serve] if sandbox else [_NAME]
    for executable in (Path(sys.argv[0]), Path(sysconfig.get_path("scripts")) / _NAME):
        for path in (executable, executable.with_name(f"{executable.name}.exe")):
            if path.stem == _NAME and path.is_file() and os.access(path, os.X_OK):
                return str(path.absolute()), serve
    return sys.executable, ["-m", "kallyai_mcp", *serve]


def _uvx() -> str | None:
    """The absolute path of `uvx`: next to the `uv` that started this process (variable UV), else on the PATH."""
    beside = Path(os.environ.get("UV", "")).parent
    found = shutil.which("uvx", path=str(beside)) if os.environ.get("UV") else None
    found = found or shutil.which("uvx")
    return str(Path(found).absolute()) if found else None


def _claude_desktop(machine: Machine) -> Path:
    name = Path("Claude") / "claude_desktop_config.json"
    if machine.platform == "win32":
        # Since 2026, Claude Desktop is an MSIX package, which sees this folder in place of %APPDATA%\Claude.
        packages = machine.folder("LOCALAPPDATA", "AppData", "Local") / "Packages"
        folders = sorted(packages.glob("Claude_*/LocalCache/Roaming"))
        return next((folder / name for folder in folders), machine.settings / name)
    return machine.settings / name


def _opencode(machine: Machine) -> Path:
    folder = machine.folder("XDG_CONFIG_HOME", ".config") / "opencode"
    return next((path for path in [folder / "opencode.jsonc"] if path.exists()), folder / "opencode.json")


def _zed(machine: Machine) -> Path:
    if machine.platform == "win32":
        return machine.settings / "Zed" / "settings.json"
    folder = machine.settings if machine.platform == "linux" else machine.home / ".config"
    return folder / "zed" / "settings.json"


def _goose(machine: Machine) -> Path:
    if machine.platform == "win32":
        return machine.settings / "Block" / "goose" / "config" / "config.yaml"
    return machine.folder("XDG_CONFIG_HOME", ".config") / "goose" / "config.yaml"


def _cline(machine: Machine) -> Path:
    """The file of the extension for VS Code, if it is installed; else the file of Cline's command line."""
    inside = Path("settings") / "cline_mcp_settings.json"
    extension = machine.settings / "Code" / "User" / "globalStorage" / "saoudrizwan.claude-dev"
    named = machine.environ.get("CLINE_MCP_SETTINGS_PATH")
    return extension / inside if extension.is_dir() and not named else machine.folder(
        "CLINE_MCP_SETTINGS_PATH", ".cline", "data", *inside.parts
    )  # fmt: skip


def _vs_code(title: str, folder: str, program: str) -> Client:
    return Client(
        title,
        lambda machine: machine.settings / folder / "User" / "mcp.json",
        f'in {title}, "MCP: List Servers" in the command palette starts it',
        table="servers",
        shape="typed",
        program=program,
        adds="--add-mcp {named}",
    )


def _windsurf(title: str, folder: str) -> Client:
    return Client(
        title,
        lambda machine: machine.home / ".codeium" / folder / "mcp_config.json",
        _RESTART.format(title),
    )


CLIENTS: dict[str, Client] = {
    "claude-desktop": Client("Claude Desktop", _claude_desktop, "quit Claude Desktop in the menu, and start it again"),
    "claude-code": Client(
        "Claude Code",
        lambda machine: machine.folder("CLAUDE_CONFIG_DIR") / ".claude.json",
        "start a new session of Claude Code; /mcp lists its servers",
        shape="typed",
        program="claude",
        adds="mcp add-json --scope user {name} {entry}",
        removes="mcp remove --scope user {name}",
    ),
    "cursor": Client("Cursor", lambda machine: machine.home / ".cursor" / "mcp.json", _RESTART.format("Cursor")),
    "vscode": _vs_code("VS Code", "Code", "code"),
    "vscode-insiders": _vs_code("VS Code Insiders", "Code - Insiders", "code-insiders"),
    "vscodium": _vs_code("VSCodium", "VSCodium", "codium"),
    "codex": Client(
        "Codex",
        lambda machine: machine.folder("CODEX_HOME", ".codex") / "config.toml",
        "start Codex again; /mcp lists its servers",
        format="toml",
        table="mcp_servers",
        program="codex",
        adds="mcp add {name} -- {command}",
        removes="mcp remove {name}",
    ),
    "windsurf": _windsurf("Windsurf", "windsurf"),
    "windsurf-next": _windsurf("Windsurf Next", "windsurf-next"),
    "gemini": Client(
        "Gemini CLI",
        lambda machine: machine.folder("GEMINI_CLI_HOME") / ".gemini" / "settings.json",
        "start Gemini CLI again; /mcp lists its servers",
        program="gemini",
        adds="mcp add --scope user {name} {command}",
        removes="mcp remove --scope user {name}",
    ),
    "opencode": Client("OpenCode", _opencode, "start OpenCode again", table="mcp", shape="opencode"),
    "zed": Client("Zed", _zed, "see in the settings of Zed's agent panel that it is on", table="context_servers"),
    "goose": Client("Goose", _goose, "start a new session of Goose", format="yaml", table="extensions", shape="goose"),
    "cline": Client("Cline", _cline, "see in Cline's list of MCP servers that it is on"),
}
"""The clients by the name that `install` takes, in the order in which they are listed."""
