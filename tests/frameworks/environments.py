"""The Python environment of a framework, made by uv, in which its snippet runs."""

import os
import subprocess
import sys
from pathlib import Path

from tests.frameworks.snippets import Framework

LIMIT = 180
"""Seconds until making an environment, or running a snippet, counts as hung."""

ROOT = Path(__file__).parent.parent.parent


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
        RuntimeError: The framework can't be installed, or its snippet can't be imported.
    """

    def __init__(self, framework: Framework, folder: Path, *, newest: bool) -> None:
        self.framework = framework
        home = folder / "home"
        home.mkdir(parents=True)
        windows = os.name == "nt"
        self._python = str(folder / "python" / ("Scripts/python.exe" if windows else "bin/python"))
        _run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder / "python")], dict(os.environ))
        needs = framework.needs(newest=newest)
        _run(["uv", "pip", "install", "--quiet", "--python", self._python, *needs], dict(os.environ))
        own = {name: value for name, value in os.environ.items() if not name.startswith(("KALLYAI_", "XDG_", "PYTHON"))}
        path = os.pathsep.join([str(Path(sys.executable).parent), own.get("PATH", "")])
        self.variables = own | {"HOME": str(home), "LOCALAPPDATA": str(home), "PATH": path}
        # This compiles the snippet's imports once for its runs over three transports.
        self.run("-c", f"import tests.frameworks.on_{framework.name}")
        names = dict.fromkeys([*(package.partition("[")[0] for package in framework.packages), "mcp"])
        code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
        found = self.run("-c", code, *names).split()
        self.versions = ", ".join(f"{name} {version}" for name, version in zip(names, found, strict=True))

    def run(self, *arguments: str) -> str:
        """Run the framework's Python; returns the last line that it prints.

        Raises:
            RuntimeError: It fails; the message is the end of its stderr.
            subprocess.TimeoutExpired: It does not end.
        """
        return _run([self._python, *arguments], self.variables | {"OPENAI_AGENTS_DISABLE_TRACING": "1"})


def _run(command: list[str], variables: dict[str, str]) -> str:
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
    return done.stdout.strip().rpartition("\n")[2]
