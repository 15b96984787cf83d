"""Installs npm packages for tests, exactly as a lock file pins them, in a folder that stays in the user's cache."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from tests.programs import SECONDS, run_well


def installed(name: str, files: Sequence[Path], then: Callable[[Path], object] = lambda _: None) -> Path:
    """Install packages, the first time on this machine; returns the folder.

    Args:
        name: The beginning of the folder's name.
        files: `package.json`, `package-lock.json`, and other files for the folder. If one changes, the packages are
            installed again.
        then: Called with the folder to complete the installation.

    Raises:
        RuntimeError: npm failed; the message has its output.
    """
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    cache = user_cache_path("kallyai-mcp") / "tests"
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
