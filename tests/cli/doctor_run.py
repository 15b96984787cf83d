"""Runs `doctor` on a machine for one test, and reads its checks."""

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from kallyai_mcp.api.models import TokenGrant
from kallyai_mcp.auth.file_store import FileStore
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.sandbox.app import SandboxApp
from tests.cli.machine import invoke, move_home, run_in_process
from tests.sandbox.sandbox_app import sandbox_app

UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home folder; `KALLYAI_HOME` is its subfolder `kallyai`."""
    return move_home(monkeypatch, tmp_path / "home")


@pytest.fixture
def kallyai_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`KALLYAI_HOME`, for commands that run in this process against a service that can't be reached."""
    monkeypatch.setenv("KALLYAI_HOME", str(home / "kallyai"))
    monkeypatch.setenv("KALLYAI_TOKEN_STORE", "file")
    monkeypatch.setenv("KALLYAI_API_URL", UNREACHABLE)
    return home / "kallyai"


@pytest.fixture
def app() -> Iterator[SandboxApp]:
    """A sandbox on the real clock, because the commands are separate processes."""
    with sandbox_app() as app:
        yield app


def sign_in(kallyai_home: Path, url: str, app: SandboxApp, *, account: str = "acct-personal", **changes: Any) -> Tokens:
    """Store a sign-in to the sandbox, as `login` does."""
    grant = TokenGrant.model_validate(app.state.sandbox.issue_tokens(account))
    tokens = Tokens.from_grant(grant, time.time()).model_copy(update=changes)
    FileStore(kallyai_home, url).save(tokens)
    return tokens


async def run_doctor(
    kallyai_home: Path, url: str, *more: str, charset: str = "utf-8", **settings: str
) -> "subprocess.CompletedProcess[str]":
    return await anyio.to_thread.run_sync(
        lambda: run_in_process(kallyai_home, "doctor", *more, charset=charset, API_URL=url, **settings)
    )


def checks_in(text: str) -> dict[str, dict[str, Any]]:
    document = json.loads(text)
    checks = {check["check"]: check for check in document["checks"]}
    assert document["ok"] == all(check["status"] != "bad" for check in checks.values())
    return checks


def run_here() -> dict[str, dict[str, Any]]:
    """The checks of `doctor`, run in this process."""
    result = invoke("doctor", "--json")
    checks = checks_in(result.stdout)
    assert result.exit_code == int(any(check["status"] == "bad" for check in checks.values()))
    return checks


def hashes_of_files(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}
