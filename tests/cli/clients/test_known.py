"""Where each client keeps its file, on each platform."""

import sys
from pathlib import Path

import pytest

from kallyai_mcp.cli.clients.known import CLIENTS, Machine
from kallyai_mcp.cli.main import CLIENT_KEYS

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="the paths are POSIX paths")


def test_the_command_line_names_every_client_that_is_known() -> None:
    assert tuple(CLIENTS) == CLIENT_KEYS


@pytest.mark.parametrize(
    ("client", "platform", "environ", "path"),
    [
        ("claude-desktop", "linux", {}, "/u/.config/Claude/claude_desktop_config.json"),
        ("claude-desktop", "linux", {"XDG_CONFIG_HOME": "/x"}, "/x/Claude/claude_desktop_config.json"),
        ("claude-desktop", "linux", {"XDG_CONFIG_HOME": "x"}, "/u/.config/Claude/claude_desktop_config.json"),
        ("claude-desktop", "darwin", {}, "/u/Library/Application Support/Claude/claude_desktop_config.json"),
        ("claude-desktop", "win32", {}, "/u/AppData/Roaming/Claude/claude_desktop_config.json"),
        ("claude-desktop", "win32", {"APPDATA": "/r"}, "/r/Claude/claude_desktop_config.json"),
        ("vscode", "linux", {}, "/u/.config/Code/User/mcp.json"),
        ("vscode", "darwin", {}, "/u/Library/Application Support/Code/User/mcp.json"),
        ("vscode", "win32", {"APPDATA": "/r"}, "/r/Code/User/mcp.json"),
        ("claude-code", "win32", {}, "/u/.claude.json"),
        ("claude-code", "linux", {"CLAUDE_CONFIG_DIR": "/c"}, "/c/.claude.json"),
        ("cursor", "win32", {}, "/u/.cursor/mcp.json"),
        ("codex", "darwin", {}, "/u/.codex/config.toml"),
        ("codex", "linux", {"CODEX_HOME": "/c"}, "/c/config.toml"),
        ("windsurf", "win32", {}, "/u/.codeium/windsurf/mcp_config.json"),
        ("gemini", "linux", {}, "/u/.gemini/settings.json"),
        ("gemini", "linux", {"GEMINI_CLI_HOME": "/g"}, "/g/.gemini/settings.json"),
    ],
)
@POSIX
def test_the_file_is_the_one_that_the_client_reads(
    client: str, platform: str, environ: dict[str, str], path: str
) -> None:
    assert CLIENTS[client].path(Machine(platform, environ, Path("/u"))) == Path(path)


def test_on_windows_a_packaged_claude_desktop_has_its_own_folder(tmp_path: Path) -> None:
    machine = Machine("win32", {"LOCALAPPDATA": str(tmp_path)}, tmp_path)
    for package in ("Claude_a", "Claude_b"):
        (tmp_path / "Packages" / package / "LocalCache" / "Roaming" / "Claude").mkdir(parents=True)
    inside = "LocalCache/Roaming/Claude/claude_desktop_config.json"

    assert CLIENTS["claude-desktop"].path(machine) == tmp_path / "Packages" / "Claude_a" / inside
    (tmp_path / "Packages" / "Claude_b" / inside).touch()
    assert CLIENTS["claude-desktop"].path(machine) == tmp_path / "Packages" / "Claude_b" / inside
