"""`install` and `uninstall`, on files such as users have."""

import json
import os
import stat
import sys
import tomllib
from pathlib import Path

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from kallyai_mcp.cli.install_commands import CLIENT_KEYS
from tests.cli.machine import entry_in, file_of, invoke, move_home, run_ok, write_file
from tests.processes import environment, run

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes, owners or links")

OTHER = '{"mcpServers": {"other": {"command": "x"}}}'


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home folder, with everything that `install` may read."""
    return move_home(monkeypatch, tmp_path / "home")


def backups(file: Path) -> list[Path]:
    return sorted(file.parent.glob(f"{file.name}.*.bak"))


@pytest.mark.parametrize("client", CLIENT_KEYS)
def test_an_entry_with_an_absolute_command_is_added_and_removed_for_each_client(home: Path, client: str) -> None:
    said = run_ok("install", client)
    file, entry = file_of(client), entry_in(client)

    assert file.is_relative_to(home)
    words = entry["command"] if client == "opencode" else [entry["cmd" if client == "goose" else "command"]]
    assert Path(words[0]).is_absolute()
    assert Path(words[0]).is_file()
    kinds = {"opencode": "local", "goose": "stdio", "claude-code": "stdio"}
    assert entry.get("type") == ("stdio" if client.startswith("vscod") else kinds.get(client))
    assert str(file) in said
    assert said.splitlines()[1].startswith("Next: ")
    assert backups(file) == []

    assert "nothing was changed" in run_ok("install", client)
    assert 'no longer has the entry "kallyai"' in run_ok("uninstall", client)
    assert entry_in(client) is None if client != "codex" else file.read_text() == ""
    assert "nothing was changed" in run_ok("uninstall", client)


GOOSE = """\
# mine
GOOSE_MODEL: "claude"  # the best
extensions:
  developer:
    enabled: true
    type: builtin
    name: developer
    args:
    - -y
GOOSE_MODE: smart_approve
"""


def test_a_yaml_file_keeps_its_comments_order_and_quotes() -> None:
    file = write_file("goose", GOOSE)

    run_ok("install", "goose", "--sandbox")
    with_entry = file.read_text(encoding="utf-8")
    run_ok("uninstall", "goose")

    assert file.read_text(encoding="utf-8") == GOOSE
    before, after = GOOSE.split("GOOSE_MODE:")
    assert with_entry.startswith(before)
    assert with_entry.endswith(f"GOOSE_MODE:{after}")
    lines = with_entry.removeprefix(before).removesuffix(f"GOOSE_MODE:{after}").splitlines()
    assert lines[:4] == ["  kallyai:", "    enabled: true", "    type: stdio", "    name: kallyai"]


def test_opencode_s_own_file_with_comments_is_the_one_that_is_read(home: Path) -> None:
    folder = home / ".config" / "opencode"
    folder.mkdir(parents=True)
    (folder / "opencode.jsonc").write_text("{}", encoding="utf-8")

    run_ok("install", "opencode")

    assert not (folder / "opencode.json").exists()
    assert entry_in("opencode")["enabled"] is True


OPENCODE_2 = """\
{
  "mcp": {
    "servers": {
      "other": {
        "type": "local",
        "command": ["x"]
      }
    },
    "timeout": {"startup": 5000}
  }
}
"""


def test_a_file_in_the_layout_of_opencode_2_keeps_it() -> None:
    file = write_file("opencode", OPENCODE_2)

    printed = json.loads(run_ok("install", "opencode", "--print").partition("\nIt goes")[0])
    run_ok("install", "opencode")
    servers = json.loads(file.read_text(encoding="utf-8"))["mcp"]["servers"]
    again = run_ok("install", "opencode")
    run_ok("uninstall", "opencode")

    assert list(servers) == ["other", "kallyai"]
    assert sorted(servers["kallyai"]) == ["command", "type"]
    assert printed == {"mcp": {"servers": {"kallyai": servers["kallyai"]}}}
    assert "nothing was changed" in again
    assert file.read_text(encoding="utf-8") == OPENCODE_2


def test_an_entry_in_the_older_layout_of_opencode_stays_there() -> None:
    mcp = {
        "kallyai": {"type": "local", "command": ["old"], "enabled": False},
        "servers": {"type": "remote", "url": "x"},
    }
    file = write_file("opencode", json.dumps({"mcp": mcp}))

    run_ok("install", "opencode")
    changed = json.loads(file.read_text(encoding="utf-8"))["mcp"]
    run_ok("uninstall", "opencode")

    assert changed["servers"] == mcp["servers"]
    assert changed["kallyai"]["command"] != ["old"]
    assert json.loads(file.read_text(encoding="utf-8")) == {"mcp": {"servers": mcp["servers"]}}


async def test_the_written_command_starts_a_server(home: Path) -> None:
    written = await anyio.to_thread.run_sync(lambda: run(home, "install", "cursor", "--sandbox"))
    entry = entry_in("cursor")
    server = StdioServerParameters(command=entry["command"], args=entry["args"], env=environment(home))
    with anyio.fail_after(30):
        async with Client(server) as client:
            tools = (await client.list_tools()).tools

    assert written.returncode == 0
    assert entry["args"][-2:] == ["serve", "--sandbox"]
    assert "make_call" in {tool.name for tool in tools}


JSON_FILES = {
    "other servers": '{\n  "mcpServers": {\n    "other": {"command": "x"}\n  },\n  "theme": "dark"\n}\n',
    "no servers": '{\n    "theme": "dark"\n}',
    "CRLF": '{\r\n  "mcpServers": {\r\n    "other": {"command": "x"}\r\n  }\r\n}\r\n',
    "a byte order mark": '\ufeff{\n  "mcpServers": {\n    "other": {}\n  }\n}\n',
    "tabs": '{\n\t"mcpServers": {\n\t\t"other": {\n\t\t\t"command": "x"\n\t\t}\n\t}\n}\n',
    "minified": '{"a":1,"mcpServers":{"other":{"command":"x"}}}',
    "one line": OTHER,
    "an empty table": '{\n  "mcpServers": {},\n  "z": [1, 2.50, 1e3, "é\\u00e9"]\n}\n',
    "an open empty object": "{\n}\n",
    "duplicate names": '{\n  "a": 1,\n  "a": 2,\n  "mcpServers": {\n    "other": {}\n  }\n}\n',
    "a brace on the line of the last member": '{\n  "mcpServers": {\n    "other": {"command": "x"}}}',
    "text that looks like comments": '{\n  "mcpServers": {\n    "o": {"url": "http://a//b/*c,}"}\n  }\n}\n',
}


@pytest.mark.parametrize("content", JSON_FILES.values(), ids=JSON_FILES)
def test_everything_else_in_a_json_file_stays_byte_for_byte(content: str) -> None:
    file = write_file("cursor", content)
    before = json.loads(content.removeprefix("\ufeff"))

    run_ok("install", "cursor")
    written = file.read_bytes().decode()
    after = json.loads(written.removeprefix("\ufeff"))
    (backup,) = backups(file)
    run_ok("install", "cursor")
    again = file.read_bytes().decode()
    run_ok("uninstall", "cursor")

    entry = after["mcpServers"].pop("kallyai")
    assert after == {"mcpServers": {}} | before
    assert set(entry) == {"command", "args"}
    assert backup.read_bytes().decode() == content
    assert again == written
    assert ("\r\n" in content) == ("\r\n" in written)
    assert written.replace("\r\n", "").count("\n") == 0 if "\r\n" in content else True
    removed = file.read_bytes().decode()
    if "mcpServers" in before:
        assert removed == content
    else:
        assert removed.replace(",", "").replace('"mcpServers": {}', "").split() == content.split()


JSONC_FILES = {
    "a comment": '// mine\n{\n  "mcpServers": {\n    "other": {} // this one\n  }\n}\n',
    "a comment of many lines": '{\n  /* all\n   */ "mcpServers": {"other": {}}\n}\n',
    "a comment alone": "// nothing yet\n",
    "a trailing comma": '{\n  "mcpServers": {\n    "other": {"command": "x",},\n  },\n}\n',
    "a trailing comma before a comment": '{\n  "mcpServers": {}, // none\n}\n',
    "an entry of its own": '{\n  "mcpServers": {"kallyai": {"command": "old", "env": {"A": "b"}}} // mine\n}\n',
}


@pytest.mark.parametrize("content", JSONC_FILES.values(), ids=JSONC_FILES)
def test_a_file_with_comments_is_left_alone_and_the_entry_to_paste_is_printed(content: str) -> None:
    file = write_file("cursor", content)

    result = invoke("install", "cursor")

    name, _, entry = result.stdout.partition(": ")
    pasted = json.loads(entry)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {file} has comments or trailing commas")
    assert 'Paste the entry above into it yourself, under "mcpServers"' in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert name == '"kallyai"'
    assert Path(pasted["command"]).is_absolute()
    assert pasted.get("env") == ({"A": "b"} if "env" in content else None)
    assert file.read_text() == content
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_removing_the_entry_from_a_file_with_comments_is_left_to_the_user() -> None:
    file = write_file("cursor", JSONC_FILES["an entry of its own"])

    result = invoke("uninstall", "cursor")

    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {file} has comments or trailing commas")
    assert result.stderr.endswith('Remove the entry "kallyai" under "mcpServers" yourself.\n')
    assert file.read_text() == JSONC_FILES["an entry of its own"]
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_a_file_with_comments_that_needs_no_change_is_no_error() -> None:
    content = JSONC_FILES["a comment"]
    file = write_file("cursor", content)
    assert 'has no entry "kallyai"' in run_ok("uninstall", "cursor")

    entry = invoke("install", "cursor").stdout
    pasted = content.replace('"other": {}', f'"other": {{}}, {entry}')
    file.write_text(pasted)
    assert "nothing was changed" in run_ok("install", "cursor")
    assert file.read_text() == pasted


@pytest.mark.parametrize("content", ["", " \n", "\ufeff"], ids=["empty", "blank", "only a byte order mark"])
def test_an_empty_file_counts_as_one_without_servers(content: str) -> None:
    file = write_file("claude-desktop", content)

    run_ok("install", "claude-desktop")

    assert entry_in("claude-desktop")["args"] is not None
    assert file.read_bytes().startswith(b"\xef\xbb\xbf") == content.startswith("\ufeff")


TOML_FILES = {
    "settings": 'model = "x" # mine\n\n[tui]\nnotifications = true\n',
    "other servers": '[mcp_servers.other]\ncommand = "x"\nargs = [ "a", ] # b\n\n[tools]\nweb = true\n',
    "servers apart": '[mcp_servers.a]\ncommand = "x"\n\n[tools]\nweb = true\n\n[mcp_servers.b]\ncommand = "y"\n',
    "CRLF": 'model = "x"\r\n\r\n[mcp_servers.other]\r\ncommand = "x"\r\n',
    "no line end": 'model = "x"',
    "a text of many lines": 'notes = """\n[mcp_servers.kallyai]\n"""\n',
}


@pytest.mark.parametrize("content", TOML_FILES.values(), ids=TOML_FILES)
def test_everything_else_in_a_toml_file_stays_byte_for_byte(content: str) -> None:
    file = write_file("codex", content)

    run_ok("install", "codex")
    written = file.read_bytes().decode()
    run_ok("install", "codex")

    assert written.startswith(content)
    assert file.read_bytes().decode() == written
    assert entry_in("codex").keys() == {"command", "args"}
    assert written.replace("\r\n", "").count("\n") == 0 if "\r\n" in content else True

    run_ok("uninstall", "codex")
    assert file.read_bytes().decode().rstrip() == content.rstrip()
    assert len(backups(file)) == 2


def test_servers_in_an_inline_table_get_one_more() -> None:
    file = write_file("codex", 'mcp_servers = { other = { command = "x" } } # mine\n')

    run_ok("install", "codex")

    assert entry_in("codex", "other") == {"command": "x"}
    assert Path(entry_in("codex")["command"]).is_absolute()
    assert file.read_text().endswith("# mine\n")
    run_ok("uninstall", "codex")
    assert tomllib.loads(file.read_text()) == {"mcp_servers": {"other": {"command": "x"}}}


@pytest.mark.parametrize(
    ("client", "content"),
    [
        (
            "vscode",
            '{"servers": {"kallyai": {"command": "uvx", "args": ["kallyai-mcp"], "env": {"A": "b"}, "x": 1}}}',
        ),
        (
            "codex",
            '[mcp_servers.kallyai] # c\ncommand = "uvx"\nargs = []\nx = 1\n\n[mcp_servers.kallyai.env]\nA = "b"\n',
        ),
    ],
)
def test_an_existing_entry_gets_the_command_and_keeps_its_other_fields(client: str, content: str) -> None:
    file = write_file(client, content)

    run_ok("install", client)

    entry = entry_in(client)
    assert Path(entry["command"]).is_absolute()
    assert entry["env"] == {"A": "b"}
    assert entry["x"] == 1
    assert ("# c" in file.read_text()) == (client == "codex")
    assert set(entry) == {"command", "args", "env", "x"}


@pytest.mark.parametrize(
    ("client", "content"),
    [
        ("cursor", '{"mcpServers": {"kallyai": {"url": "http://127.0.0.1:8000/mcp", "headers": {"A": "b"}}}}'),
        ("claude-code", '{"mcpServers": {"kallyai": null}}'),
        ("codex", '[mcp_servers.kallyai]\nurl = "http://127.0.0.1:8000/mcp"\n'),
    ],
)
def test_an_entry_with_a_url_is_replaced(client: str, content: str) -> None:
    write_file(client, content)

    run_ok("install", client)

    assert set(entry_in(client)) - {"type"} == {"command", "args"}


@pytest.mark.parametrize(
    ("client", "content", "why"),
    [
        ("cursor", '{\n  "mcpServers": {\n    "a": 1\n    "b": 2\n  }\n}', "line 4: "),
        ("cursor", '{\n  "a": [1 2]\n}', "line 2: "),
        ("cursor", '{\n  "a" 1\n}', "line 2: "),
        ("cursor", "{\n  a: 1\n}", "line 2: "),
        ("cursor", '{\n  "a": ', "line 2: "),
        ("cursor", '{\n  "a": NaN\n}', "line 1: NaN is not JSON"),
        ("cursor", '{"a": 1}\n}', "line 2: "),
        ("cursor", "[1]", "line 1: it is not an object"),
        ("cursor", "{\n /* ", "line 2: "),
        ("cursor", '// mine\n{\n  "a" 1\n}', "line 3: "),
        pytest.param("cursor", "[" * 100_000, "line 1: it is nested too deeply", id="deep JSON"),
        ("cursor", b'{\n"a": "\xff"}', "line 2: it is not UTF-8"),
        ("cursor", '{\n"mcpServers": []}', 'line 2: "mcpServers" is not an object'),
        ("claude-desktop", "{\n // mine\n}", "line 2: "),
        ("claude-code", '{\n "a": 1,\n}', "line "),
        ("codex", "model = \n", "line 1: invalid value"),
        ("goose", "a: [\n", "line 2: "),
        ("goose", "- a\n", "line 1: it is not a mapping"),
        ("goose", "extensions: 1\n", 'line 1: "extensions" is not a mapping'),
        ("codex", "a = 1\nmcp_servers = 1\n", 'line 2: "mcp_servers" is not a table'),
        ("codex", '[a]\nb = "', "line 2: "),
        pytest.param("codex", "a = " + "[" * 100_000, "line 1: ", id="deep TOML"),
    ],
)
def test_a_broken_file_is_reported_with_line_and_reason_and_left_alone(
    client: str, content: str | bytes, why: str
) -> None:
    file = write_file(client, content)
    before = file.read_bytes()

    result = invoke("install", client)

    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {file}, {why}")
    assert len(result.stderr.splitlines()) == 1
    assert file.read_bytes() == before
    assert [each.name for each in file.parent.iterdir()] == [file.name]
    if "is not" not in why or "UTF-8" in why:
        assert invoke("uninstall", client).stderr == result.stderr


@POSIX
def test_a_read_only_file_is_left_alone() -> None:
    file = write_file("cursor", OTHER)
    file.chmod(0o444)

    result = invoke("install", "cursor")

    assert result.exit_code == 1
    assert f"{file} is read-only" in result.stderr
    assert file.read_text() == OTHER


@POSIX
def test_a_linked_file_is_written_and_the_link_stays(home: Path) -> None:
    real = home / "dotfiles" / "cursor.json"
    real.parent.mkdir()
    real.write_text(OTHER)
    link = file_of("cursor")
    link.parent.mkdir()
    link.symlink_to(real)

    run_ok("install", "cursor")

    assert link.is_symlink()
    assert "kallyai" in real.read_text()
    assert len(backups(real)) == 1


@POSIX
def test_a_link_to_itself_and_a_folder_in_place_of_the_file_are_reported() -> None:
    link, folder = file_of("cursor"), file_of("windsurf")
    link.parent.mkdir()
    link.symlink_to(link)
    folder.mkdir(parents=True)

    for path, client in ((link, "cursor"), (folder, "windsurf")):
        result = invoke("install", client)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: {path} ")


@POSIX
def test_mode_and_owner_stay() -> None:
    file = write_file("gemini", "{}")
    file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(file, 12345, 12345)
    before = file.stat()

    run_ok("install", "gemini")

    for path in (file, *backups(file)):
        after = path.stat()
        assert (stat.S_IMODE(after.st_mode), after.st_uid) == (0o640, before.st_uid)


@POSIX
def test_only_its_owner_can_read_a_new_file() -> None:
    run_ok("install", "claude-code")

    assert stat.S_IMODE(file_of("claude-code").stat().st_mode) == 0o600


def test_print_shows_the_whole_file_for_the_entry_and_writes_nothing(home: Path) -> None:
    shown, table = invoke("install", "vscode", "--print"), run_ok("install", "codex", "--print")

    assert json.loads(shown.stdout)["servers"]["kallyai"]["type"] == "stdio"
    assert shown.stderr == f"It goes into {file_of('vscode')}; nothing was written.\n"
    assert tomllib.loads(table)["mcp_servers"]["kallyai"]["command"]
    assert list(home.iterdir()) == []


def test_two_entries_with_different_names_can_coexist() -> None:
    run_ok("install", "cursor")
    run_ok("install", "cursor", "--name", "phone-test", "--sandbox")
    run_ok("uninstall", "cursor")

    assert entry_in("cursor") is None
    assert "--sandbox" in entry_in("cursor", "phone-test")["args"]
    bad = invoke("install", "cursor", "--name", "my phone")
    assert bad.exit_code == 2
    assert "--name" in bad.stderr


def test_a_folder_that_the_client_would_not_create_is_not_created(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = home / "elsewhere"
    monkeypatch.setenv("CODEX_HOME", str(elsewhere))

    result = invoke("install", "codex")

    assert result.exit_code == 1
    assert "CODEX_HOME" in result.stderr
    assert not elsewhere.exists()
    elsewhere.mkdir()
    run_ok("install", "codex")
    assert (elsewhere / "config.toml").exists()


def test_settings_of_the_shell_are_named_but_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_ACCESS_TOKEN", "abc123456789")

    said = run_ok("install", "cursor")

    assert "Note: these settings have values here: KALLYAI_ACCESS_TOKEN." in said
    assert "abc123456789" not in said + file_of("cursor").read_text()


def test_invalid_settings_do_not_prevent_installing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_WAIT_SECONDS", "soon")

    assert invoke("install", "cursor").exit_code == 0
    assert invoke("status").exit_code == 2


def test_without_a_client_those_that_are_found_are_listed(home: Path) -> None:
    assert run_ok("install").startswith("No client was found here.")

    (home / ".cursor").mkdir()
    write_file("codex", '[mcp_servers.kallyai]\ncommand = "x"\n')
    listed = run_ok("install").splitlines()

    assert [line.split() for line in listed[:2]] == [
        ["Cursor", "cursor", "has", "no", "entry"],
        ["Codex", "codex", "has", "the", "entry"],
    ]
    assert listed[-1].startswith("To add the entry: kallyai-mcp install CLIENT")


def test_all_adds_the_entry_to_every_client_that_is_found(home: Path) -> None:
    assert invoke("install", "--all").exit_code == 1

    (home / ".cursor").mkdir()
    write_file("codex", "")
    write_file("gemini", "{ broken")
    done = invoke("install", "--all")

    assert done.exit_code == 1
    assert "settings.json, line 1" in done.stderr
    assert entry_in("cursor")["command"]
    assert entry_in("codex")["command"]


def test_another_file_of_the_client_can_be_named(home: Path) -> None:
    file = home / "profile" / "mcp.json"

    assert str(file) in run_ok("install", "vscode", "--file", str(file))
    assert json.loads(file.read_text())["servers"]["kallyai"]["type"] == "stdio"
    assert not file_of("vscode").exists()
    run_ok("uninstall", "vscode", "--file", str(file))
    assert "kallyai" not in file.read_text()
    assert invoke("install", "--file", str(file)).exit_code == 2


def test_a_misspelled_client_is_answered_with_the_close_ones() -> None:
    assert "did you mean claude-code" in invoke("install", "claudecode").stderr
    assert "choose from claude-desktop, " in invoke("install", "zzz").stderr


def test_what_to_do_next_is_said() -> None:
    said = run_ok("install", "cursor")

    assert "Next: restart Cursor" in said
    assert 'Then ask it, for example: "Call +1' in said
    assert "asks you to sign in" in said
    assert "sign in" not in run_ok("install", "windsurf", "--sandbox")
