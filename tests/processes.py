"""Runs `kallyai-mcp` as a process, with a time-out for every wait."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import programs

LIMIT = 120
"""Seconds until a process that should have ended counts as hung."""

COMMAND = [sys.executable, "-m", "kallyai_mcp"]
"""As a client starts it."""


def http_command(port: int, speed: str) -> list[str]:
    """The command of a server over HTTP with a sandbox that simulates calls at this speed."""
    where = ["--transport", "http", "--port", str(port)]
    return [*COMMAND, "serve", *where, "--sandbox", "--speed", speed]


def free_port() -> int:
    """A port of 127.0.0.1 that no process listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def environment(home: Path, **settings: str) -> dict[str, str]:
    """This process's environment with these settings, and without a developer's own settings."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("KALLYAI_")}
    return (
        own
        | {"KALLYAI_HOME": str(home), "KALLYAI_TOKEN_STORE": "file", "KALLYAI_CONFIRM": "never"}
        | {f"KALLYAI_{k}": v for k, v in settings.items()}
    )


def run(
    home: Path, *arguments: str, given: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with `given` on its stdin; settings are without the prefix
    `KALLYAI_`.
    """
    return programs.run(
        [*COMMAND, *arguments], variables=environment(home, **settings), stdin=given
    )


def imported_by(home: Path, *arguments: str, given: str = "", **settings: str) -> set[str]:
    """The modules that a command imports; the arguments are those of `run`."""
    command = [sys.executable, "-X", "importtime", *COMMAND[1:], *arguments]
    quiet = environment(home, **settings) | {"COVERAGE_PROCESS_START": "", "COV_CORE_SOURCE": ""}
    done = programs.run(command, variables=quiet, stdin=given)
    return {
        line.rpartition("|")[2].strip()
        for line in done.stderr.splitlines()
        if line.startswith("import time")
    }


@contextmanager
def started(home: Path, *arguments: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command; if it has not ended by the end of the block, it is killed.

    The arguments are those of `run`.
    """
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment(home, **settings),
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(timeout=LIMIT)
