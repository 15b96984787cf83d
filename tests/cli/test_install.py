"""`install`, `uninstall`, and what `doctor` says of the clients, on files such as users have."""

import json
import stat
import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from kallyai_mcp.cli.clients import CLIENTS
from tests.cli.machine import add_program, entry_in, file_of, invoke, move_home, run_ok, write_file
from tests.processes import environment, run

POSIX = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no such modes, links, or scripts"
)
EDITED = [key for key, client in CLIENTS.items() if client.format == "json"]
OTHER = '{"mcpServers": {"other": {"command": "x"}}}'


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home folder, with everything that `install` may read."""
    return move_home(monkeypatch, tmp_path / "home")


def backups(file: Path) -> list[Path]:
    return sorted(file.parent.glob(f"{file.name}.*.bak"))


def test_every_client_gets_an_entry_that_doctor_is_content_with_and_loses_it_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for client in CLIENTS:
        result = invoke("install", client)
        if client not in EDITED:
            assert result.exit_code == 1
            assert f"Error: Paste the entry above into {file_of(client)} yourself" in result.stderr
            assert not file_of(client).exists()
            write_file(client, result.stdout)  # the user pastes the entry
            continue
        file, entry = file_of(client), entry_in(client)
        command = entry["command"][0] if client == "opencode" else entry["command"]
        assert file.is_relative_to(home)
        assert Path(command).is_absolute()
        assert Path(command).is_file()
        assert str(file) in result.stdout
        assert backups(file) == []
        assert "nothing was changed" in run_ok("install", client)
    monkeypatch.setenv("KALLYAI_SANDBOX", "1")  # doctor needs no network then
    checks = json.loads(invoke("doctor", "--json").stdout)["checks"]
    clients = [check for check in checks if check["check"] == "client"]
    for client in EDITED:
        assert 'no longer has the entry "kallyai"' in run_ok("uninstall", client)
        assert entry_in(client) is None
        assert "nothing was changed" in run_ok("uninstall", client)

    assert {check["status"] for check in clients} == {"ok"}
    # Whose YAML is not read.
    for title in {client.title for client in CLIENTS.values()} - {"Goose"}:
        assert any(check["message"].startswith(title) for check in clients), title


def test_what_the_user_added_to_the_entry_stays_and_doctor_names_a_program_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KALLYAI_SANDBOX", "1")
    entry = {"command": "/gone/kallyai-mcp", "env": {"KALLYAI_CONFIRM": "always"}}
    write_file("cursor", json.dumps({"mcpServers": {"kallyai": entry}}))
    result = invoke("doctor")

    assert result.exit_code == 1
    assert "Cursor starts /gone/kallyai-mcp, which is not there" in result.stdout
    run_ok("install", "cursor")
    assert entry_in("cursor")["env"] == {"KALLYAI_CONFIRM": "always"}
    assert entry_in("cursor")["command"] != "/gone/kallyai-mcp"
    assert "It replaced the entry that makes real calls. The sandbox calls nobody." in run_ok(
        "install", "cursor", "--sandbox"
    )


@POSIX
def test_the_client_s_own_program_adds_and_removes_the_entry(home: Path) -> None:
    add_program(
        home,
        "claude",
        "Path(__file__).with_name('said').open('a').write(json.dumps(sys.argv[1:]) + '\\n')",
    )
    add_program(
        home,
        "codex",
        "Path(__file__).with_name('said').open('a').write(json.dumps(sys.argv[1:]) + '\\n')",
    )
    add_program(home, "gemini", "sys.exit(3)")  # a program that fails leaves the entry to this one

    run_ok("install", "claude-code")
    old = {"type": "stdio", "command": "/old", "args": [], "env": {"KALLYAI_CONFIRM": "always"}}
    write_file("claude-code", json.dumps({"mcpServers": {"kallyai": old}}))
    run_ok("install", "claude-code", "--sandbox")
    replaced = entry_in("claude-code")
    run_ok("uninstall", "claude-code")
    write_file(
        "codex", '[mcp_servers.kallyai]\ncommand = "/old"\nenv = { KALLYAI_CONFIRM = "always" }\n'
    )
    run_ok("install", "codex", "--sandbox")
    run_ok("install", "gemini")
    said = [json.loads(line) for line in (home / "bin" / "said").read_text().splitlines()]

    entry = json.loads(said[0][-1])
    assert said[0][:-1] == ["mcp", "add-json", "--scope", "user", "kallyai"]
    assert sorted(entry) == ["args", "command", "type"]
    # Only the file keeps what the user added to an entry; of Codex, its own program.
    assert replaced == old | {"command": entry["command"], "args": ["serve", "--sandbox"]}
    assert said[1] == ["mcp", "remove", "--scope", "user", "kallyai"]
    codex = [
        "--env=KALLYAI_CONFIRM=always",
        "kallyai",
        "--",
        entry["command"],
        "serve",
        "--sandbox",
    ]
    assert said[2] == ["mcp", "add", *codex]
    assert entry_in("gemini")["args"] == []


JSON_FILES = [
    '{\r\n\t"mcpServers": {\r\n\t\t"other": {"command": "x"}\r\n\t},\r\n\t"theme": "dark"\r\n}\r\n',
    OTHER,
    '{\n  "mcpServers": {},\n  "z": [1, 2.50, 1e3, "é\\u00e9"]\n}\n',
    '{\n  "kallyai": 1,\n  "p": {"mcpServers": {"kallyai": 2}},\n  "mcpServers": {}\n}',
    '{\n  "mcpServers": {\n    "o": {"url": "http://a//b/*c,}"}\n  }\n}\n',
]


@pytest.mark.parametrize("content", JSON_FILES)
def test_everything_else_in_a_json_file_stays_as_it_is(content: str) -> None:
    file = write_file("cursor", content)

    run_ok("install", "cursor")
    written = file.read_bytes().decode()
    after = json.loads(written)
    (backup,) = backups(file)
    run_ok("uninstall", "cursor")
    removed = file.read_bytes().decode()

    assert set(after["mcpServers"].pop("kallyai")) == {"command", "args"}
    assert after == {"mcpServers": {}} | json.loads(content) == json.loads(removed)
    assert backup.read_bytes().decode() == content
    assert written.count("\n") - written.count("\r\n") in (0, written.count("\n"))
    lines = [line for line in content.splitlines() if '"' in line and "{}" not in line]
    assert [
        line for line in lines if line not in written.splitlines()
    ] == [] or "\n" not in content.strip()
    if '"other"' in content:
        assert removed == content


@pytest.mark.parametrize(
    "content",
    [
        '// mine\n{"mcpServers": {}}',
        '{"mcpServers": {"other": {},},}',
        "[]",
        '{"mcpServers": 1}',
        "{",
    ],
)
def test_a_file_that_is_not_plain_json_is_left_alone_and_the_entry_printed(content: str) -> None:
    file = write_file("cursor", content)
    result = invoke("install", "cursor")

    assert result.exit_code == 1
    assert f"Paste the entry above into {file} yourself" in result.stderr
    assert Path(json.loads(result.stdout)["mcpServers"]["kallyai"]["command"]).is_file()
    assert file.read_text() == content
    assert invoke("uninstall", "cursor").exit_code == 1
    assert [each.name for each in file.parent.iterdir()] == [file.name]


@POSIX
def test_a_link_and_the_mode_of_its_file_stay_as_they_are(home: Path) -> None:
    real = home / "dotfiles.json"
    real.write_text(OTHER)
    real.chmod(0o640)
    link = file_of("cursor")
    link.parent.mkdir()
    link.symlink_to(real)
    run_ok("install", "cursor")

    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_without_a_client_the_ones_found_here_are_listed_within_40_columns() -> None:
    write_file("vscode-insiders", OTHER)
    run_ok("install", "cursor")
    said = run_ok("install")

    assert "  cursor           has the entry\n  vscode-insiders  no entry\n" in said
    assert max(map(len, said.splitlines())) <= 40


def test_the_name_of_the_entry_can_be_chosen_and_print_changes_nothing() -> None:
    shown = json.loads(run_ok("install", "cursor", "--name", "phone", "--print"))
    unknown = invoke("install", "claude_code")

    assert list(shown["mcpServers"]) == ["phone"]
    assert not file_of("cursor").exists()
    assert invoke("install", "cursor", "--name", "my phone").exit_code == 2
    assert unknown.exit_code == 2
    assert "'claude-code'" in unknown.stderr
    file = write_file("cursor", b"\xff\xfe{}")
    assert f"Error: {file} can't be read: " in invoke("install", "cursor").stderr


async def test_the_written_command_starts_a_server(home: Path) -> None:
    await anyio.to_thread.run_sync(lambda: run(home, "install", "cursor", "--sandbox"))
    entry = entry_in("cursor")
    server = StdioServerParameters(
        command=entry["command"], args=entry["args"], env=environment(home)
    )
    with anyio.fail_after(60):
        async with Client(server) as client:
            tools = (await client.list_tools()).tools

    assert entry["args"][-2:] == ["serve", "--sandbox"]
    assert "make_call" in {tool.name for tool in tools}


def test_the_files_are_where_each_system_has_them(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def paths(system: str) -> dict[str, str]:
        monkeypatch.setattr("platform.system", lambda: system)
        return {key: client.path().relative_to(home).as_posix() for key, client in CLIENTS.items()}

    linux, mac, windows = paths("Linux"), paths("Darwin"), paths("Windows")
    desktop, code = "Claude/claude_desktop_config.json", "Code/User/mcp.json"
    folders = (".config/", "Library/Application Support/", "AppData/Roaming/")
    for folder, here in zip(folders, (linux, mac, windows), strict=True):
        assert (here["claude-desktop"], here["vscode"]) == (f"{folder}{desktop}", f"{folder}{code}")
    assert linux["zed"] == mac["zed"] == ".config/zed/settings.json"
    assert windows["goose"] == "AppData/Roaming/Block/goose/config/config.yaml"
    monkeypatch.setenv("CODEX_HOME", str(home / "c"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "x"))
    moved = paths("Linux")
    assert (moved["codex"], moved["opencode"]) == ("c/config.toml", "x/opencode/opencode.json")
