"""An environment for each framework, made by uv, in which its snippet runs."""

import os
import subprocess
import sys
from pathlib import Path

from tests.frameworks.snippets import Framework

LIMIT = 180
"""Seconds until making an environment, or running a snippet, counts as hung."""

ROOT = Path(__file__).parent.parent.parent


class Environment:
    """A framework's own Python, the command `kallyai-mcp`, a home where nobody has been, and no settings.

    Args:
        framework: Whose.
        folder: An empty folder to make it in.
        newest: With the versions that a user gets today instead of the pinned ones.

    Attributes:
        framework: As given.
        variables: The environment variables of what runs there.
        versions: Those of the framework's packages and of `mcp`, in words.

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
        # The snippet is imported too: what that compiles, the runs of it over three transports need not compile again.
        self.run("-c", f"import tests.frameworks.on_{framework.name}")
        names = dict.fromkeys([*(package.partition("[")[0] for package in framework.packages), "mcp"])
        code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
        found = self.run("-c", code, *names).split()
        self.versions = ", ".join(f"{name} {version}" for name, version in zip(names, found, strict=True))

    def run(self, *arguments: str) -> str:
        """The last line that the framework's Python prints when it runs this.

        Raises:
            RuntimeError: It fails; with the end of what it says on stderr.
            subprocess.TimeoutExpired: It hangs.
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
