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
PASTED = [key for key in CLIENTS if key not in EDITED]
OTHER = '{"mcpServers": {"other": {"command": "x"}}}'


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home folder, with everything that `install` may read."""
    return move_home(monkeypatch, tmp_path / "home")


def backups(file: Path) -> list[Path]:
    return sorted(file.parent.glob(f"{file.name}.*.bak"))


def command_in(client: str) -> Path:
    """The program that a client's entry starts."""
    command = entry_in(client)["command"]
    return Path(command[0] if client == "opencode" else command)


@pytest.mark.parametrize("client", EDITED)
def test_a_client_gets_an_entry(home: Path, client: str) -> None:
    said = run_ok("install", client)

    assert file_of(client).is_relative_to(home)
    assert str(file_of(client)) in said
    assert command_in(client).is_absolute()
    assert command_in(client).is_file()
    assert backups(file_of(client)) == []


@pytest.mark.parametrize("client", EDITED)
def test_a_client_loses_its_entry_again(client: str) -> None:
    run_ok("install", client)

    assert 'no longer has the entry "kallyai"' in run_ok("uninstall", client)
    assert entry_in(client) is None


@pytest.mark.parametrize("client", EDITED)
def test_nothing_is_installed_or_removed_twice(client: str) -> None:
    run_ok("install", client)
    again = run_ok("install", client)
    run_ok("uninstall", client)

    assert "nothing was changed" in again
    assert "nothing was changed" in run_ok("uninstall", client)


@pytest.mark.parametrize("client", PASTED)
def test_a_client_whose_file_is_not_edited_stays(client: str) -> None:
    result = invoke("install", client)

    assert result.exit_code == 1
    assert f"Error: Paste the entry above into {file_of(client)} yourself" in result.stderr
    assert not file_of(client).exists()


def test_doctor_accepts_the_entry_of_every_client(monkeypatch: pytest.MonkeyPatch) -> None:
    for client in EDITED:
        run_ok("install", client)
    for client in PASTED:
        write_file(client, invoke("install", client).stdout)  # the user pastes the entry
    monkeypatch.setenv("KALLYAI_SANDBOX", "1")  # doctor needs no network then
    checks = json.loads(invoke("doctor", "--json").stdout)["checks"]
    clients = [check for check in checks if check["check"] == "client"]

    assert {check["status"] for check in clients} == {"ok"}
    # Whose YAML is not read.
    for title in {client.title for client in CLIENTS.values()} - {"Goose"}:
        assert any(check["message"].startswith(title) for check in clients), title


GONE = {"command": "/gone/kallyai-mcp", "env": {"KALLYAI_CONFIRM": "always"}}


def test_doctor_names_a_program_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_SANDBOX", "1")
    write_file("cursor", json.dumps({"mcpServers": {"kallyai": GONE}}))
    result = invoke("doctor")

    assert result.exit_code == 1
    assert "Cursor starts /gone/kallyai-mcp, which is not there" in result.stdout


def test_installing_again_keeps_the_users_own_variables() -> None:
    write_file("cursor", json.dumps({"mcpServers": {"kallyai": GONE}}))
    run_ok("install", "cursor")

    assert entry_in("cursor")["env"] == {"KALLYAI_CONFIRM": "always"}
    assert entry_in("cursor")["command"] != "/gone/kallyai-mcp"


def test_the_sandbox_replaces_an_entry_of_real_calls() -> None:
    run_ok("install", "cursor")

    assert "It replaced the entry that makes real calls. The sandbox calls nobody." in run_ok(
        "install", "cursor", "--sandbox"
    )


NOTES = "Path(__file__).with_name('said').open('a').write(json.dumps(sys.argv[1:]) + '\\n')"
"""A client's own program that writes down what it is told."""


def told(home: Path) -> list[list[str]]:
    """What a client's own program was told so far."""
    return [json.loads(line) for line in (home / "bin" / "said").read_text().splitlines()]


@POSIX
def test_a_clients_own_program_edits_the_entry(home: Path) -> None:
    add_program(home, "claude", NOTES)
    run_ok("install", "claude-code")
    write_file("claude-code", json.dumps({"mcpServers": {"kallyai": GONE}}))
    run_ok("uninstall", "claude-code")
    (*added, entry), removed = told(home)

    assert added == ["mcp", "add-json", "--scope", "user", "kallyai"]
    assert sorted(json.loads(entry)) == ["args", "command", "type"]
    assert removed == ["mcp", "remove", "--scope", "user", "kallyai"]


@POSIX
def test_only_the_file_keeps_what_users_added(home: Path) -> None:
    """A client's own program would replace the whole entry, except that of Codex."""
    add_program(home, "claude", NOTES)
    old = {"type": "stdio", "command": "/old", "args": [], "env": {"KALLYAI_CONFIRM": "always"}}
    write_file("claude-code", json.dumps({"mcpServers": {"kallyai": old}}))
    run_ok("install", "claude-code", "--sandbox")
    entry = entry_in("claude-code")

    assert entry == old | {"command": entry["command"], "args": ["serve", "--sandbox"]}
    assert not (home / "bin" / "said").exists()


@POSIX
def test_codexs_own_program_keeps_what_users_added(home: Path) -> None:
    add_program(home, "codex", NOTES)
    write_file(
        "codex", '[mcp_servers.kallyai]\ncommand = "/old"\nenv = { KALLYAI_CONFIRM = "always" }\n'
    )
    run_ok("install", "codex", "--sandbox")
    ((*added, command, serve, sandbox),) = told(home)

    assert added == ["mcp", "add", "--env=KALLYAI_CONFIRM=always", "kallyai", "--"]
    assert Path(command).is_file()
    assert [serve, sandbox] == ["serve", "--sandbox"]


@POSIX
def test_where_a_clients_program_fails_its_file_changes(home: Path) -> None:
    add_program(home, "gemini", "sys.exit(3)")
    run_ok("install", "gemini")

    assert entry_in("gemini")["args"] == []


JSON_FILES = [
    '{\r\n\t"mcpServers": {\r\n\t\t"other": {"command": "x"}\r\n\t},\r\n\t"theme": "dark"\r\n}\r\n',
    OTHER,
    '{\n  "mcpServers": {},\n  "z": [1, 2.50, 1e3, "é\\u00e9"]\n}\n',
    '{\n  "kallyai": 1,\n  "p": {"mcpServers": {"kallyai": 2}},\n  "mcpServers": {}\n}',
    '{\n  "mcpServers": {\n    "o": {"url": "http://a//b/*c,}"}\n  }\n}\n',
]


@pytest.mark.parametrize("content", JSON_FILES)
def test_the_rest_of_a_json_file_stays(content: str) -> None:
    file = write_file("cursor", content)
    run_ok("install", "cursor")
    written = file.read_bytes().decode()
    after = json.loads(written)
    lines = [line for line in content.splitlines() if '"' in line and "{}" not in line]

    assert set(after["mcpServers"].pop("kallyai")) == {"command", "args"}
    assert after == {"mcpServers": {}} | json.loads(content)
    # No line ends in another way than the others.
    assert written.count("\n") - written.count("\r\n") in (0, written.count("\n"))
    assert "\n" not in content.strip() or set(lines) <= set(written.splitlines())
    (backup,) = backups(file)
    assert backup.read_bytes().decode() == content


@pytest.mark.parametrize("content", JSON_FILES)
def test_a_removed_entry_leaves_no_trace(content: str) -> None:
    file = write_file("cursor", content)
    run_ok("install", "cursor")
    run_ok("uninstall", "cursor")
    removed = file.read_bytes().decode()

    assert json.loads(removed) == {"mcpServers": {}} | json.loads(content)
    assert '"other"' not in content or removed == content


NOT_PLAIN = [
    '// mine\n{"mcpServers": {}}',
    '{"mcpServers": {"other": {},},}',
    "[]",
    '{"mcpServers": 1}',
    "{",
]


@pytest.mark.parametrize("content", NOT_PLAIN)
def test_the_entry_for_other_json_is_printed(content: str) -> None:
    file = write_file("cursor", content)
    result = invoke("install", "cursor")

    assert result.exit_code == 1
    assert f"Paste the entry above into {file} yourself" in result.stderr
    assert Path(json.loads(result.stdout)["mcpServers"]["kallyai"]["command"]).is_file()


@pytest.mark.parametrize("content", NOT_PLAIN)
@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_a_file_without_plain_json_stays(content: str, command: str) -> None:
    file = write_file("cursor", content)

    assert invoke(command, "cursor").exit_code == 1
    assert file.read_text() == content
    assert [each.name for each in file.parent.iterdir()] == [file.name]


@POSIX
def test_a_links_file_keeps_its_mode(home: Path) -> None:
    real = home / "dotfiles.json"
    real.write_text(OTHER)
    real.chmod(0o640)
    link = file_of("cursor")
    link.parent.mkdir()
    link.symlink_to(real)
    run_ok("install", "cursor")

    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_install_lists_the_clients_found_here() -> None:
    write_file("vscode-insiders", OTHER)
    run_ok("install", "cursor")
    said = run_ok("install")

    assert "  cursor           entry: real calls\n  vscode-insiders  no entry\n" in said
    assert max(map(len, said.splitlines())) <= 40


def test_print_shows_the_entry_under_its_name() -> None:
    shown = json.loads(run_ok("install", "cursor", "--name", "phone", "--print"))

    assert list(shown["mcpServers"]) == ["phone"]
    assert not file_of("cursor").exists()


def test_a_name_with_a_space_is_refused() -> None:
    assert invoke("install", "cursor", "--name", "my phone").exit_code == 2


def test_an_unknown_client_is_told_the_nearest() -> None:
    unknown = invoke("install", "clade")

    assert unknown.exit_code == 2
    assert "Did you mean claude-code?" in unknown.stderr


@pytest.mark.parametrize("title", ["Claude Code", "claude_code", "VS Code", "CURSOR"])
def test_a_client_is_known_by_its_title(title: str) -> None:
    assert '"kallyai"' in run_ok("install", title, "--print")


def test_a_client_has_one_backup() -> None:
    file = write_file("cursor", OTHER)
    run_ok("install", "cursor")
    before = file.read_text()
    run_ok("install", "cursor", "--sandbox")

    assert [one.read_text() for one in backups(file)] == [before]


@pytest.mark.parametrize(("options", "kind"), [((), "real calls"), (("--sandbox",), "sandbox")])
def test_doctor_says_which_calls_an_entry_places(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], kind: str
) -> None:
    monkeypatch.setenv("KALLYAI_SANDBOX", "1")
    run_ok("install", "cursor", *options)

    assert f"Cursor has the entry kallyai ({kind})" in invoke("doctor").stdout


def test_doctor_warns_of_a_clones_venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_SANDBOX", "1")
    program = tmp_path / "clone" / ".venv" / "bin" / "kallyai-mcp"
    program.parent.mkdir(parents=True)
    (tmp_path / "clone" / "pyproject.toml").touch()
    program.touch(0o755)
    write_file("cursor", json.dumps({"mcpServers": {"kallyai": {"command": str(program)}}}))
    result = invoke("doctor")

    assert f"from the .venv of the clone {tmp_path / 'clone'}" in result.stdout
    assert result.exit_code == 0


def test_a_file_that_cannot_be_read_is_named() -> None:
    file = write_file("cursor", b"\xff\xfe{}")

    assert f"Error: {file} can't be read: " in invoke("install", "cursor").stderr


@pytest.mark.programs
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
