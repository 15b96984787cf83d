"""Installs npm packages for tests, exactly as a lock file pins them, in a folder that stays in the
user's cache.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from tests.programs import SECONDS, run_well

NEEDED = 20
"""The oldest version of Node.js."""


def missing() -> str | None:
    """What is missing on this machine to install packages; None when nothing is."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return "there is no npm on this machine (Debian: apt-get install nodejs npm)"
    version = run_well([node, "--version"]).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < NEEDED:
        return f"Node.js is {version}, and {NEEDED} is needed"
    return None


def installed(
    name: str, files: Sequence[Path], then: Callable[[Path], object] = lambda _: None
) -> Path:
    """Install packages, the first time on this machine, and call `then` with the folder; returns
    the folder.

    The name of the folder begins with `name`. It has these files: `package.json`,
    `package-lock.json`, and others. If one changes, the packages are installed again.
    """
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    cache = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kallyai-mcp" / "tests"
    )
    folder = cache / f"{name}-{digest}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{name}.lock", timeout=SECONDS):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for path in files:
                shutil.copy(path, folder)
            run_well(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder=folder)
            then(folder)
            (folder / "complete").touch()
    return folder
