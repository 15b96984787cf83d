"""The supported clients, and where each has its file of servers on Linux, macOS, and Windows."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kallyai_mcp.cli.network_folders import Mount, mounts_here, network_type

Format = Literal["json", "jsonc", "toml", "yaml"]
"""The format of a client's file: plain JSON; JSON with comments and trailing commas; TOML; YAML."""

Shape = Literal["common", "typed", "opencode", "goose"]
"""The form of a client's entries: `command` and `args`; the same with `"type": "stdio"`; OpenCode's; Goose's."""


@dataclass(frozen=True)
class Machine:
    """The facts about a machine on which the path of a client's file depends.

    Attributes:
        platform: The value of `sys.platform`.
        environ: The environment's variables.
        home: The user's home folder.
        real_path: Returns the real path of a path. On Windows, a program from the Store, and every program that it
            starts, sees a private copy of AppData under the ordinary paths.
        mounts: Returns the mounted file systems.
    """

    platform: str
    environ: Mapping[str, str]
    home: Path
    real_path: Callable[[str], str] = field(default=os.path.realpath, repr=False)
    mounts: Callable[[], Sequence[Mount]] = field(default=mounts_here, repr=False)

    def shows_private_copy(self, path: Path) -> bool:
        """Whether this program sees a private copy of `path`, which other programs don't see."""
        if self.platform != "win32":
            return False
        return "localcache" in self.real_path(str(path)).lower() and "localcache" not in str(path).lower()

    def network_type(self, path: Path) -> str | None:
        """The type of the network folder that has `path`, such as "SMB" or "nfs4"; None for a local folder."""
        mounts = self.mounts() if self.platform != "win32" else ()
        return network_type(path, self.platform, self.real_path(str(path)), mounts)

    @classmethod
    def this(cls) -> "Machine":
        """This machine, from this process's environment."""
        return cls(sys.platform, os.environ, Path.home())

    def folder(self, variable: str, default: Path) -> Path:
        """The folder in an environment variable if it is an absolute path, else `default`."""
        named = Path(self.environ.get(variable, ""))
        return named if named.is_absolute() else default

    @property
    def settings_folder(self) -> Path:
        """The folder in which desktop programs keep the user's settings."""
        if self.platform == "win32":
            return self.folder("APPDATA", self.home / "AppData" / "Roaming")
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        return self.folder("XDG_CONFIG_HOME", self.home / ".config")


@dataclass(frozen=True)
class Client:
    """One MCP client.

    Attributes:
        key: The client's name on this program's command line.
        title: The client's own name.
        path: Returns the path of the client's file.
        reload: What the user must do so that the client reads its file again.
        format: The format of the file.
        table: The key in the file that has the servers.
        shape: The form of the entries.
        inner_table: A key below `table` that has the servers in files of a newer layout.
        home_variable: The variable that names the client's folder; the client does not create that folder.
    """

    key: str
    title: str
    path: Callable[[Machine], Path]
    reload: str
    format: Format = "jsonc"
    table: str = "mcpServers"
    shape: Shape = "common"
    inner_table: str | None = None
    home_variable: str | None = None

    def is_on(self, machine: Machine) -> bool:
        """Whether the client seems to be installed: its file exists, or the file's folder, which only it creates."""
        path = self.path(machine)
        return path.is_file() or (path.parent != machine.home and path.parent.is_dir())

    def creates_its_folder(self, machine: Machine) -> bool:
        """Whether the client would create the folder of its file; then `install` may create it, too."""
        return self.home_variable is None or not machine.environ.get(self.home_variable)

    def entry(self, name: str, command: str, arguments: list[str], *, is_inner: bool = False) -> dict[str, object]:
        """The entry `name` that makes the client start `command`; `is_inner`: the entry is in the `inner_table`."""
        match self.shape:
            case "opencode" if is_inner:
                return {"type": "local", "command": [command, *arguments]}
            case "opencode":
                return {"type": "local", "command": [command, *arguments], "enabled": True}
            case "goose":
                started = {"type": "stdio", "name": name, "cmd": command, "args": arguments}
                return {"enabled": True, **started, "envs": {}, "timeout": 300}
            case "typed":
                return {"type": "stdio", "command": command, "args": arguments}
            case "common":
                return {"command": command, "args": arguments}


def _claude_desktop(machine: Machine) -> Path:
    name = "claude_desktop_config.json"
    default = machine.settings_folder / "Claude" / name
    if machine.platform != "win32":
        return default
    # Since 2026, Claude Desktop is an MSIX package, which sees this folder in place of %APPDATA%\Claude.
    packages = machine.folder("LOCALAPPDATA", machine.home / "AppData" / "Local") / "Packages"
    folders = sorted(packages.glob("Claude_*/LocalCache/Roaming"))
    packaged = [folder / "Claude" / name for folder in folders]
    return next((path for path in packaged if path.exists()), packaged[0] if packaged else default)


def _opencode(machine: Machine) -> Path:
    folder = machine.folder("XDG_CONFIG_HOME", machine.home / ".config") / "opencode"
    with_comments = folder / "opencode.jsonc"
    return with_comments if with_comments.exists() else folder / "opencode.json"


def _zed(machine: Machine) -> Path:
    if machine.platform == "win32":
        return machine.settings_folder / "Zed" / "settings.json"
    folder = machine.home / ".config"
    return (machine.folder("XDG_CONFIG_HOME", folder) if machine.platform == "linux" else folder) / "zed/settings.json"


def _goose(machine: Machine) -> Path:
    if machine.platform == "win32":
        return machine.settings_folder / "Block" / "goose" / "config" / "config.yaml"
    return machine.folder("XDG_CONFIG_HOME", machine.home / ".config") / "goose" / "config.yaml"


def _cline(machine: Machine) -> Path:
    """The file of the extension for VS Code, if it is installed; else the file of Cline's command line."""
    inside = Path("settings") / "cline_mcp_settings.json"
    own = machine.folder("CLINE_MCP_SETTINGS_PATH", machine.home / ".cline" / "data" / inside)
    extension = machine.settings_folder / "Code" / "User" / "globalStorage" / "saoudrizwan.claude-dev"
    return extension / inside if extension.is_dir() and not machine.environ.get("CLINE_MCP_SETTINGS_PATH") else own


def _vs_code(folder: str) -> Callable[[Machine], Path]:
    return lambda machine: machine.settings_folder / folder / "User" / "mcp.json"


def _windsurf(folder: str) -> Callable[[Machine], Path]:
    return lambda machine: machine.home / ".codeium" / folder / "mcp_config.json"


CLIENTS: dict[str, Client] = {
    client.key: client
    for client in (
        Client(
            key="claude-desktop",
            title="Claude Desktop",
            format="json",
            path=_claude_desktop,
            reload="quit Claude Desktop, so that it is no longer in the tray or menu bar either, and start it again",
        ),
        Client(
            key="claude-code",
            title="Claude Code",
            format="json",
            path=lambda machine: machine.folder("CLAUDE_CONFIG_DIR", machine.home) / ".claude.json",
            reload="start a new session of Claude Code; /mcp lists its servers",
            shape="typed",
        ),
        Client(
            key="cursor",
            title="Cursor",
            path=lambda machine: machine.home / ".cursor" / "mcp.json",
            reload="restart Cursor, and see that the server is switched on in its settings, under MCP",
        ),
        *(
            Client(
                key=key,
                title=title,
                table="servers",
                path=_vs_code(folder),
                reload=f'in {title}, "MCP: List Servers" in the command palette starts it',
                shape="typed",
            )
            for key, title, folder in (
                ("vscode", "VS Code", "Code"),
                ("vscode-insiders", "VS Code Insiders", "Code - Insiders"),
                ("vscodium", "VSCodium", "VSCodium"),
            )
        ),
        Client(
            key="codex",
            title="Codex",
            format="toml",
            table="mcp_servers",
            path=lambda machine: machine.folder("CODEX_HOME", machine.home / ".codex") / "config.toml",
            reload="start Codex again; /mcp lists its servers",
            home_variable="CODEX_HOME",
        ),
        *(
            Client(
                key=key,
                title=title,
                path=_windsurf(key),
                reload=f"refresh the MCP servers in {title}'s Cascade panel, or restart {title}",
            )
            for key, title in (("windsurf", "Windsurf"), ("windsurf-next", "Windsurf Next"))
        ),
        Client(
            key="gemini",
            title="Gemini CLI",
            path=lambda machine: machine.folder("GEMINI_CLI_HOME", machine.home) / ".gemini" / "settings.json",
            reload="start Gemini CLI again; /mcp lists its servers",
        ),
        Client(
            key="opencode",
            title="OpenCode",
            table="mcp",
            path=_opencode,
            reload="start OpenCode again",
            shape="opencode",
            # OpenCode 2 has this layout of its own, and also reads the layout of version 1.
            inner_table="servers",
        ),
        Client(
            key="zed",
            title="Zed",
            table="context_servers",
            path=_zed,
            reload="see in the settings of Zed's agent panel that the server is running",
        ),
        Client(
            key="goose",
            title="Goose",
            format="yaml",
            table="extensions",
            path=_goose,
            reload="start a new session of Goose",
            shape="goose",
        ),
        Client(
            key="cline",
            title="Cline",
            path=_cline,
            reload="see in Cline's list of MCP servers that it is on",
            home_variable="CLINE_MCP_SETTINGS_PATH",
        ),
    )
}
"""The clients by key, in the order in which they are listed."""
