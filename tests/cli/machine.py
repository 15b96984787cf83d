"""A machine for one test: the folders of the user and the clients are temporary, and no settings
are inherited.
"""

import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner, Result

from kallyai_mcp.api.models import TokenGrant
from kallyai_mcp.auth.token_store import TokenStore
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.cli.clients import CLIENTS
from kallyai_mcp.cli.main import cli
from kallyai_mcp.testing import KallyAISandbox
from tests.processes import environment


def move_home(monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    """Make `home` the user's home folder, for this process and its children; returns it.

    The PATH has no client's own program.
    """
    home.mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("APPDATA", str(home / "AppData" / "Roaming"))
    monkeypatch.setenv("LOCALAPPDATA", str(home / "AppData" / "Local"))
    monkeypatch.setenv("PATH", str(home / "bin"))
    for name in (
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "CLAUDE_CONFIG_DIR",
        "CODEX_HOME",
        "GEMINI_CLI_HOME",
        "UV",
        "CLINE_MCP_SETTINGS_PATH",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in list(os.environ):
        if name.startswith("KALLYAI_"):
            monkeypatch.delenv(name)
    return home


def add_program(home: Path, name: str, script: str) -> None:
    """Put a client's own program on the PATH: a Python script, which gets its arguments in
    `sys.argv[1:]`.
    """
    file = home / "bin" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!{sys.executable}\nimport json, sys\nfrom pathlib import Path\n{script}")
    file.chmod(0o755)


def invoke(*arguments: str, variables: dict[str, str | None] | None = None) -> Result:
    """Run a command in this process, with these environment variables changed."""
    result = CliRunner().invoke(cli, arguments, env=variables)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run_in_process(
    home: Path, *arguments: str, **settings: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command as `tests.processes.run` does, but in this process, which saves the start of a
    Python.
    """
    result = invoke(
        *arguments, variables=dict.fromkeys(os.environ, None) | environment(home, **settings)
    )
    return subprocess.CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr)


def sign_in(home: Path, sandbox: KallyAISandbox, url: str | None = None, **changes: Any) -> Tokens:
    """Sign in with tokens of the sandbox, as if they were of `url`; `changes` are made to them.

    Returns them.
    """
    answer = httpx2.post(f"{sandbox.url}/_sandbox/sign-in", json={}).raise_for_status()
    tokens = Tokens.from_grant(TokenGrant.model_validate(answer.json()), time.time()).model_copy(
        update=changes
    )
    TokenStore("file", home, url or sandbox.url).save(tokens)
    return tokens


def run_ok(*arguments: str, code: int = 0) -> str:
    """Run a command that must end with this exit code; returns its stdout."""
    result = invoke(*arguments)
    assert result.exit_code == code, result.output
    return result.stdout


def file_of(client: str) -> Path:
    """The path of a client's file on this machine."""
    return CLIENTS[client].path()


def write_file(client: str, content: bytes | str) -> Path:
    """Write a client's file; returns its path."""
    file = file_of(client)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def entry_in(client: str, name: str = "kallyai") -> Any:
    """The entry of that name in a client's file; None when there is none."""
    text = file_of(client).read_text(encoding="utf-8-sig")
    document = tomllib.loads(text) if client == "codex" else json.loads(text)
    return document[CLIENTS[client].table].get(name)
