"""How to start the server of a run over stdio: kallyai-mcp, or another program."""

import json
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kallyai_mcp.evals.task_clock import TaskTime
from kallyai_mcp.evals.task_files import NOW, TIMEZONE
from kallyai_mcp.server.build import INSTRUCTIONS

OURS = "ours"
"""The name of kallyai-mcp among the servers."""

_TEN_YEARS = 86400 * 3650


@dataclass(frozen=True)
class ServerCommand:
    """The program, and the instructions of the server for a model (empty if they are not known)."""

    program: str
    arguments: list[str]
    env: dict[str, str]
    instructions: str

    @property
    def is_ours(self) -> bool:
        """Whether it is kallyai-mcp."""
        return bool(self.instructions)


def server_command(
    server: str, env: Mapping[str, str], home: Path, task_time: TaskTime
) -> ServerCommand:
    """The command of `server`, which is `ours`, or the command line of another program.

    Raises `ValueError` if another program can't be given the time of the task.
    """
    if server == OURS:
        arguments = ["-m", "kallyai_mcp.evals.server", str(task_time.file)]
        return ServerCommand(sys.executable, arguments, {**env}, INSTRUCTIONS)
    return _other_command(server, env, home)


def _other_command(server: str, env: Mapping[str, str], home: Path) -> ServerCommand:
    """Another program, with a home folder in which its user is signed in.

    In the command, `{url}` and `{token}` stand for KALLYAI_API_URL and KALLYAI_ACCESS_TOKEN, for a
    program with other settings.
    """
    url = env["KALLYAI_API_URL"]
    token = env["KALLYAI_ACCESS_TOKEN"]
    _sign_in(home / ".kallyai_token.json", token)
    program, *arguments = [
        part.replace("{url}", url).replace("{token}", token) for part in shlex.split(server)
    ]
    return ServerCommand(
        program, arguments, {**env, "HOME": str(home), **faked_time(_libfaketime())}, ""
    )


def _sign_in(file: Path, token: str) -> None:
    """Store the sign-in as the vendor's own tools do.

    Some of them take only a whole second, and a refresh token that is not empty.
    """
    expires_at = int(time.time()) + _TEN_YEARS
    content = {"access_token": token, "refresh_token": "unused", "expires_at": expires_at}
    file.touch(mode=0o600)
    file.write_text(json.dumps(content), encoding="utf-8")


def _libfaketime() -> Path | None:
    """The library, where Debian has it."""
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


def faked_time(library: Path | None) -> dict[str, str]:
    """The variables with which a program has the time of the tasks, by libfaketime.

    Raises `ValueError` if there is none.
    """
    if library is None:
        raise ValueError(
            "the tasks take place in January 2026; to give another server this time, "
            "install libfaketime (Debian: apt-get install libfaketime)"
        )
    offset = (NOW - datetime.now(UTC)).total_seconds()
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": f"{offset:+.3f}s",
        "FAKETIME_DISABLE_SHM": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "TZ": TIMEZONE,
    }
