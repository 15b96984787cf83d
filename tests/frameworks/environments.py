"""The environment of a framework, made by uv or npm, in which its client runs."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests import npm
from tests.frameworks.snippets import Framework
from tests.programs import new_environment, own_environment, run_well

LIMIT = 300
"""Seconds until a snippet counts as hung."""

NODE = Path(__file__).parent / "node"


class Environment:
    """An environment with the framework, the command `kallyai-mcp`, an empty home folder, and no settings.

    With `newest`, the newest versions are installed. Raises `RuntimeError` if the framework can't be installed.
    """

    def __init__(self, framework: Framework, folder: Path, *, newest: bool) -> None:
        self.framework = framework
        home = folder / "home"
        home.mkdir(parents=True)
        own = {name: value for name, value in own_environment().items() if not name.startswith("XDG_")}
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
        python = new_environment(folder / "python", *framework.needs(newest=newest))
        self._drive = [python, "-m", "tests.frameworks.drive", framework.name]
        frozen = run_well(["uv", "pip", "freeze", "--python", python]).stdout.split()
        names = {package.partition("[")[0] for package in framework.packages} | {"mcp"}
        self.versions = ", ".join(line for line in frozen if line.partition("==")[0] in names)

    def drive(self, name: str, timeout: int, places: Sequence[str]) -> list[dict[str, Any]]:
        """Run `drive`; returns its `Observed` as JSON, one for each place; raises `RuntimeError` with its output."""
        quiet = {"OPENAI_AGENTS_DISABLE_TRACING": "1", "PYTHONWARNINGS": "ignore"}
        command = [*self._drive, name, str(timeout), *places]
        done = run_well(command, variables=self.variables | quiet, seconds=LIMIT)
        observed: list[dict[str, Any]] = json.loads(done.stdout.strip().rpartition("\n")[2])
        return observed
