"""The environment of a framework, made by uv or npm, in which its client runs."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests import npm
from tests.frameworks.snippets import Framework

LIMIT = 300
"""Seconds until making an environment, or running a snippet, counts as hung."""

ROOT = Path(__file__).parent.parent.parent

NODE = Path(__file__).parent / "node"


class Environment:
    """An environment with the framework, the command `kallyai-mcp`, an empty home folder, and no settings.

    Args:
        framework: The framework.
        folder: An empty folder for it.
        newest: Install the newest versions instead of the pinned ones.

    Attributes:
        framework: The framework.
        variables: The environment variables of the processes in it.
        versions: The versions of the framework's packages and of `mcp`, as text.

    Raises:
        RuntimeError: The framework can't be installed.
    """

    def __init__(self, framework: Framework, folder: Path, *, newest: bool) -> None:
        self.framework = framework
        home = folder / "home"
        home.mkdir(parents=True)
        own = {name: value for name, value in os.environ.items() if not name.startswith(("KALLYAI_", "XDG_", "PYTHON"))}
        path = os.pathsep.join([str(Path(sys.executable).parent), own.get("PATH", "")])
        self.variables = own | {"HOME": str(home), "LOCALAPPDATA": str(home), "PATH": path}
        if framework.is_javascript:
            own_folder = NODE / framework.name
            pinned = [own_folder / "package.json", own_folder / "package-lock.json"]
            packages = npm.installed(f"frameworks-{framework.name}", pinned)
            for script in (NODE / "drive.mjs", own_folder / f"on_{framework.name}.mjs"):
                shutil.copy(script, packages)
            self._drive = ["node", str(packages / "drive.mjs"), f"on_{framework.name}"]
            self.versions = ", ".join(map("@".join, zip(framework.packages, framework.versions, strict=True)))
            return
        python = str(folder / "python" / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
        _run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder / "python")], dict(os.environ))
        needs = framework.needs(newest=newest)
        _run(["uv", "pip", "install", "--quiet", "--python", python, *needs], dict(os.environ))
        self._drive = [python, "-m", "tests.frameworks.drive", framework.name]
        frozen = _run(["uv", "pip", "freeze", "--python", python], dict(os.environ), whole=True).split()
        names = {package.partition("[")[0] for package in framework.packages} | {"mcp"}
        self.versions = ", ".join(line for line in frozen if line.partition("==")[0] in names)

    def drive(self, name: str, timeout: int, places: Sequence[str]) -> list[dict[str, Any]]:
        """Run `drive`; returns its `Observed` as JSON, one for each place.

        Raises:
            RuntimeError: It fails; the message is the end of its stderr.
            subprocess.TimeoutExpired: It does not end.
        """
        quiet = {"OPENAI_AGENTS_DISABLE_TRACING": "1", "PYTHONWARNINGS": "ignore"}
        observed: list[dict[str, Any]] = json.loads(
            _run([*self._drive, name, str(timeout), *places], self.variables | quiet)
        )
        return observed


def _run(command: list[str], variables: dict[str, str], *, whole: bool = False) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=LIMIT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-2000:] or f"exit code {done.returncode}")
    return done.stdout if whole else done.stdout.strip().rpartition("\n")[2]
