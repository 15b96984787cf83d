"""What the tests need from npm: folders with just what a lock file pins, in its versions and with its hashes."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

SECONDS = 240
"""How long npm may take, or one of its programs; only a slow line needs it."""


def installed(name: str, ingredients: Sequence[Path], then: Callable[[Path], object] = lambda _: None) -> Path:
    """A folder with `ingredients` and what their lock file pins, made on the first call on this machine.

    Args:
        name: Tells the folder from others.
        ingredients: `package.json`, `package-lock.json` and whatever else the folder is made of: when one of them
            changes, it is made anew.
        then: What is still to be done in the folder; it is made only when this returns.

    Raises:
        RuntimeError: npm failed, with what it said.
    """
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in ingredients)).hexdigest()[:16]
    cache = user_cache_path("kallyai-mcp") / "tests"
    folder = cache / f"{name}-{digest}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{name}.lock", timeout=SECONDS):
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for path in ingredients:
                shutil.copy(path, folder)
            run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder)
            then(folder)
            (folder / "made").touch()
    return folder


def run(program: str, *arguments: str, folder: Path) -> str:
    """What a program printed that was run in `folder`.

    Raises:
        RuntimeError: It failed, with what it said.
    """
    done = subprocess.run(
        [shutil.which(program) or program, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=SECONDS,
    )
    if done.returncode:
        raise RuntimeError(f"{program} {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout
