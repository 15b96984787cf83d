"""The command that `install` writes."""

import sys
from pathlib import Path

import pytest

from tests.cli.machine import entry_in, move_home, run_ok


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home folder, with everything that `install` may read."""
    return move_home(monkeypatch, tmp_path / "home")


def uvx_in(folder: Path) -> Path:
    for name in ("uv", "uvx"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder / "uvx"


@pytest.mark.parametrize("from_path", [False, True], ids=["beside uv", "on the PATH"])
def test_uvx_starts_what_it_has_installed(home: Path, monkeypatch: pytest.MonkeyPatch, *, from_path: bool) -> None:
    uvx = uvx_in(home)
    monkeypatch.setattr(sys, "prefix", "/cache/uv/archive-v0/mDHneBTF6iIwVE9")
    if from_path:
        monkeypatch.setenv("PATH", str(home))
    else:
        monkeypatch.setenv("UV", str(home / "uv"))

    run_ok("install", "cursor")
    run_ok("install", "cursor", "--name", "sandbox", "--sandbox")

    assert entry_in("cursor") == {"command": str(uvx), "args": ["kallyai-mcp"]}
    assert entry_in("cursor", "sandbox") == {
        "command": str(uvx),
        "args": ["--from", "kallyai-mcp[sandbox]", "kallyai-mcp", "serve", "--sandbox"],
    }


def test_without_an_executable_python_starts_the_module(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(home / "nothing"))

    run_ok("install", "cursor")

    assert entry_in("cursor") == {"command": sys.executable, "args": ["-m", "kallyai_mcp"]}
