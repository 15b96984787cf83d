"""uv and what it starts, with every wait bounded, and nothing of the caller's environment that could sway them."""

import os
import subprocess
from collections.abc import Sequence

from tests.supply.declared import ROOT

LIMIT = 240
"""Seconds until a command counts as hung; only a slow line to the package index needs them."""

_SWAYING = ("KALLYAI_", "PYTEST_", "COVERAGE_", "PYTHON", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "UV_NO_SYNC")


def run(command: Sequence[str], given: str = "") -> subprocess.CompletedProcess[str]:
    """A command run at the top of the repository to its end, whatever that is.

    Args:
        command: The program and its arguments.
        given: What it reads on its stdin.

    Raises:
        RuntimeError: It hangs.
    """
    try:
        return subprocess.run(
            command,
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith(_SWAYING)},
            input=given,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{' '.join(command[:3])} … did not end within {LIMIT} s") from error


def run_well(command: Sequence[str], given: str = "") -> subprocess.CompletedProcess[str]:
    """As `run`, for a command that has to succeed.

    Raises:
        RuntimeError: It fails or hangs, with the end of what it says on stderr.
    """
    done = run(command, given)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} …: {done.stderr.strip()[-3000:] or f'code {done.returncode}'}")
    return done
