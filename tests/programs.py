"""Runs programs such as uv, npm, and node to their end, with a time-out."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent

SECONDS = 600
"""The time-out; only a slow connection to a package index needs so long."""

_REMOVED = (
    "KALLYAI_",
    "PYTEST_",
    "COVERAGE_",
    "PYTHON",
    "VIRTUAL_ENV",
    "UV_PROJECT_ENVIRONMENT",
    "UV_NO_SYNC",
)
"""How variables begin that would change what a program does."""


def own_environment() -> dict[str, str]:
    """This process's environment, without the user's settings, and without those of the Python that
    runs this.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith(_REMOVED)}


def run(
    command: Sequence[str | Path],
    *,
    folder: Path = ROOT,
    variables: Mapping[str, str] | None = None,
    stdin: str = "",
    seconds: float = SECONDS,
) -> subprocess.CompletedProcess[str]:
    """Run a program, which may fail; its environment is `own_environment` unless `variables` are
    given.

    Raises `RuntimeError` if there is no such program, or it did not end.
    """
    program, *arguments = map(str, command)
    try:
        return subprocess.run(
            [shutil.which(program) or program, *arguments],
            cwd=folder,
            env=own_environment() if variables is None else variables,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"{program}: {error}") from None


def run_well(command: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program as `run` does; raises `RuntimeError`, with the end of its output, also if it
    failed.
    """
    done = run(command, **options)
    if done.returncode:
        output = f"{done.stdout}\n{done.stderr}".strip()[-3000:]
        raise RuntimeError(
            f"{' '.join(map(str, command))} failed with exit code {done.returncode}:\n{output}"
        )
    return done


def new_environment(folder: Path, *packages: str | Path, python: str = sys.executable) -> str:
    """Make an environment in `folder` with these packages (arguments of `uv pip install`); returns
    its Python.
    """
    own = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    run_well(["uv", "venv", "--quiet", "--allow-existing", "--python", python, folder])
    run_well(["uv", "pip", "install", "--quiet", "--python", own, *packages])
    return own
