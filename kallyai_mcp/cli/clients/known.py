"""The clients, and where each keeps the servers that it starts, on Linux, macOS and Windows."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Format = Literal["json", "jsonc", "toml"]
"""How a client reads its file: JSON to the letter; JSON with comments and trailing commas; TOML."""


@dataclass(frozen=True)
class Machine:
    """What decides where a client's file is.

    Attributes:
        platform: As `sys.platform`.
        environ: The environment's variables.
        home: The user's home folder.
    """

    platform: str
    environ: Mapping[str, str]
    home: Path

    @classmethod
    def this(cls) -> "Machine":
        """This machine, as this process sees it."""
        return cls(sys.platform, os.environ, Path.home())

    def folder(self, variable: str, default: Path) -> Path:
        """The folder that an environment variable names, if it names one by an absolute path; else `default`."""
        named = Path(self.environ.get(variable, ""))
        return named if named.is_absolute() else default

    @property
    def programs(self) -> Path:
        """Where desktop programs keep the settings of this user."""
        if self.platform == "win32":
            return self.folder("APPDATA", self.home / "AppData" / "Roaming")
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        return self.folder("XDG_CONFIG_HOME", self.home / ".config")


@dataclass(frozen=True)
class Client:
    """One MCP client.

    Attributes:
        key: What a user types for it.
        title: What it calls itself.
        format: How it reads its file.
        table: The key of its file under which the servers stand.
        path: Where its file is.
        restart: What the user does for it to see a change.
        typed: Its entries say `"type": "stdio"`.
        home_variable: The variable that names its folder, where it must then exist.
    """

    key: str
    title: str
    format: Format
    table: str
    path: Callable[[Machine], Path]
    restart: str
    typed: bool = False
    home_variable: str | None = None

    def makes_its_folder(self, machine: Machine) -> bool:
        """Whether the client would make the folder of its file, so that it may be made for it."""
        return self.home_variable is None or not machine.environ.get(self.home_variable)

    def entry(self, command: str, arguments: list[str]) -> dict[str, object]:
        """The entry that has the client start `command`."""
        kind: dict[str, object] = {"type": "stdio"} if self.typed else {}
        return kind | {"command": command, "args": arguments}


def _claude_desktop(machine: Machine) -> Path:
    name = "claude_desktop_config.json"
    ordinary = machine.programs / "Claude" / name
    if machine.platform != "win32":
        return ordinary
    # As an MSIX package, which is how it is installed since 2026, it sees this folder in place of %APPDATA%\Claude.
    packages = machine.folder("LOCALAPPDATA", machine.home / "AppData" / "Local") / "Packages"
    folders = sorted(packages.glob("Claude_*/LocalCache/Roaming"))
    packaged = [folder / "Claude" / name for folder in folders]
    return next((path for path in packaged if path.exists()), packaged[0] if packaged else ordinary)


CLIENTS: dict[str, Client] = {
    client.key: client
    for client in (
        Client(
            key="claude-desktop",
            title="Claude Desktop",
            format="json",
            table="mcpServers",
            path=_claude_desktop,
            restart="quit Claude Desktop, so that it is no longer in the tray or menu bar either, and start it again",
        ),
        Client(
            key="claude-code",
            title="Claude Code",
            format="json",
            table="mcpServers",
            path=lambda machine: machine.folder("CLAUDE_CONFIG_DIR", machine.home) / ".claude.json",
            restart="start a new session of Claude Code; /mcp lists its servers",
            typed=True,
        ),
        Client(
            key="cursor",
            title="Cursor",
            format="jsonc",
            table="mcpServers",
            path=lambda machine: machine.home / ".cursor" / "mcp.json",
            restart="restart Cursor, and see that the server is switched on in its settings, under MCP",
        ),
        Client(
            key="vscode",
            title="VS Code",
            format="jsonc",
            table="servers",
            path=lambda machine: machine.programs / "Code" / "User" / "mcp.json",
            restart='in VS Code, "MCP: List Servers" in the command palette starts it',
            typed=True,
        ),
        Client(
            key="codex",
            title="Codex",
            format="toml",
            table="mcp_servers",
            path=lambda machine: machine.folder("CODEX_HOME", machine.home / ".codex") / "config.toml",
            restart="start Codex again; /mcp lists its servers",
            home_variable="CODEX_HOME",
        ),
        Client(
            key="windsurf",
            title="Windsurf",
            format="jsonc",
            table="mcpServers",
            path=lambda machine: machine.home / ".codeium" / "windsurf" / "mcp_config.json",
            restart="refresh the MCP servers in Windsurf's Cascade panel, or restart Windsurf",
        ),
        Client(
            key="gemini",
            title="Gemini CLI",
            format="jsonc",
            table="mcpServers",
            path=lambda machine: machine.folder("GEMINI_CLI_HOME", machine.home) / ".gemini" / "settings.json",
            restart="start Gemini CLI again; /mcp lists its servers",
        ),
    )
}
"""Every client by its key, in the order in which they are listed."""
