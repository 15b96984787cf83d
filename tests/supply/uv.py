"""Runs uv, and what it starts, with a time-out and without environment variables that would change the result."""

import os
import subprocess
from collections.abc import Sequence

from tests.supply.requirements import ROOT

LIMIT = 240
"""Seconds until a command counts as hung; only a slow connection to the package index takes so long."""

_REMOVED = ("KALLYAI_", "PYTEST_", "COVERAGE_", "PYTHON", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "UV_NO_SYNC")


def run(command: Sequence[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in the root of the repository; it may fail.

    Args:
        command: The program and its arguments.
        stdin: Its input.

    Raises:
        RuntimeError: It does not end.
    """
    try:
        return subprocess.run(
            command,
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith(_REMOVED)},
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{' '.join(command[:3])} … did not end within {LIMIT} s") from error


def run_well(command: Sequence[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command that must succeed; see `run`.

    Raises:
        RuntimeError: It fails or does not end; the message has the end of its stderr.
    """
    done = run(command, stdin)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} …: {done.stderr.strip()[-3000:] or f'code {done.returncode}'}")
    return done
