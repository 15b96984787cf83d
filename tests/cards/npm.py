"""The host page's bundle: what it needs comes from npm, in the versions and with the hashes of its lock file."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

SOURCE = Path(__file__).parent / "host"
SECONDS = 240
BUNDLING = ("host.js", "--bundle", "--minify", "--format=iife", "--target=chrome120", "--outfile=host.bundle.js")


def missing() -> str | None:
    """What this machine lacks to make the bundle; None when it lacks nothing."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return "there is no npm on this machine (Debian: apt-get install nodejs npm)"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=SECONDS).stdout
    if int(version.removeprefix("v").split(".")[0]) < 20:
        return f"Node.js is {version.strip()}, and the host library needs 20"
    return None


def bundled() -> Path:
    """A folder with `host.bundle.js` and `axe.min.js`, made on the first call on this machine.

    Raises:
        RuntimeError: npm or esbuild failed, with what they said.
    """
    ingredients = [SOURCE / name for name in ("package.json", "package-lock.json", "host.js")]
    whole = b"".join(path.read_bytes() for path in ingredients) + " ".join(BUNDLING).encode()
    digest = hashlib.sha256(whole).hexdigest()[:16]
    cache = user_cache_path("kallyai-mcp") / "tests"
    folder = cache / f"card-host-{digest}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "card-host.lock", timeout=SECONDS):
        if not (folder / "made.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for path in ingredients:
                shutil.copy(path, folder)
            _run(folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
            esbuild = folder / "node_modules" / "esbuild" / "bin" / "esbuild"
            _run(folder, "node", str(esbuild), *BUNDLING, "--log-level=error")
            shutil.copy(folder / "node_modules" / "axe-core" / "axe.min.js", folder)
            (folder / "made.json").write_text(json.dumps({"from": digest}), encoding="utf-8")
    return folder


def _run(folder: Path, program: str, *arguments: str) -> None:
    command = [shutil.which(program) or program, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS)
    if done.returncode:
        raise RuntimeError(f"{program} {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
