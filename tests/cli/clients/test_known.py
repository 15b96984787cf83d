"""Where each client keeps its file, on each platform."""

import sys
from pathlib import Path

import pytest

from kallyai_mcp.cli.clients.errors import ClientFileError
from kallyai_mcp.cli.clients.files import ClientFile
from kallyai_mcp.cli.clients.known import CLIENTS, Machine
from kallyai_mcp.cli.install_commands import CLIENT_KEYS

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
        ("vscode-insiders", "darwin", {}, "/u/Library/Application Support/Code - Insiders/User/mcp.json"),
        ("vscodium", "linux", {}, "/u/.config/VSCodium/User/mcp.json"),
        ("windsurf-next", "linux", {}, "/u/.codeium/windsurf-next/mcp_config.json"),
        ("claude-code", "win32", {}, "/u/.claude.json"),
        ("claude-code", "linux", {"CLAUDE_CONFIG_DIR": "/c"}, "/c/.claude.json"),
        ("cursor", "win32", {}, "/u/.cursor/mcp.json"),
        ("codex", "darwin", {}, "/u/.codex/config.toml"),
        ("codex", "linux", {"CODEX_HOME": "/c"}, "/c/config.toml"),
        ("windsurf", "win32", {}, "/u/.codeium/windsurf/mcp_config.json"),
        ("gemini", "linux", {}, "/u/.gemini/settings.json"),
        ("opencode", "linux", {"XDG_CONFIG_HOME": "/x"}, "/x/opencode/opencode.json"),
        ("opencode", "win32", {}, "/u/.config/opencode/opencode.json"),
        ("zed", "linux", {"XDG_CONFIG_HOME": "/x"}, "/x/zed/settings.json"),
        ("zed", "darwin", {"XDG_CONFIG_HOME": "/x"}, "/u/.config/zed/settings.json"),
        ("zed", "win32", {"APPDATA": "/r"}, "/r/Zed/settings.json"),
        ("goose", "darwin", {}, "/u/.config/goose/config.yaml"),
        ("goose", "win32", {"APPDATA": "/r"}, "/r/Block/goose/config/config.yaml"),
        ("cline", "linux", {}, "/u/.cline/data/settings/cline_mcp_settings.json"),
        ("cline", "linux", {"CLINE_MCP_SETTINGS_PATH": "/c/s.json"}, "/c/s.json"),
        ("gemini", "linux", {"GEMINI_CLI_HOME": "/g"}, "/g/.gemini/settings.json"),
    ],
)
@POSIX
def test_the_file_is_the_one_that_the_client_reads(
    client: str, platform: str, environ: dict[str, str], path: str
) -> None:
    assert CLIENTS[client].path(Machine(platform, environ, Path("/u"))) == Path(path)


def test_cline_s_extension_for_vs_code_has_a_file_of_its_own(tmp_path: Path) -> None:
    machine = Machine("linux", {}, tmp_path)
    folder = tmp_path / ".config/Code/User/globalStorage/saoudrizwan.claude-dev"
    folder.mkdir(parents=True)

    assert CLIENTS["cline"].path(machine) == folder / "settings" / "cline_mcp_settings.json"


def test_on_windows_a_packaged_claude_desktop_has_its_own_folder(tmp_path: Path) -> None:
    machine = Machine("win32", {"LOCALAPPDATA": str(tmp_path)}, tmp_path)
    for package in ("Claude_a", "Claude_b"):
        (tmp_path / "Packages" / package / "LocalCache" / "Roaming" / "Claude").mkdir(parents=True)
    inside = "LocalCache/Roaming/Claude/claude_desktop_config.json"

    assert CLIENTS["claude-desktop"].path(machine) == tmp_path / "Packages" / "Claude_a" / inside
    (tmp_path / "Packages" / "Claude_b" / inside).touch()
    assert CLIENTS["claude-desktop"].path(machine) == tmp_path / "Packages" / "Claude_b" / inside


def test_a_private_copy_of_a_store_program_is_not_left_in_place_of_the_client_s_file(tmp_path: Path) -> None:
    def real_path(path: str) -> str:
        return path.replace("Roaming", r"Local\Packages\Python_x\LocalCache\Roaming")

    machine = Machine("win32", {"APPDATA": str(tmp_path / "Roaming")}, tmp_path, real_path)
    file = ClientFile(CLIENTS["vscode"], machine)

    with pytest.raises(ClientFileError, match=r"sees a private copy of .* Nothing was changed"):
        file.install("kallyai", {"command": "x"})
    assert not file.path.exists()
    assert ClientFile(CLIENTS["cursor"], machine).install("kallyai", {"command": "x"}).changed
