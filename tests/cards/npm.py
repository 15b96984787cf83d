"""The host page's bundle: what it needs comes from npm, in the versions and with the hashes of its lock file."""

import shutil
from pathlib import Path

from tests import npm

SOURCE = Path(__file__).parent / "host"
BUNDLING = ("host.js", "--bundle", "--minify", "--format=iife", "--target=chrome120", "--outfile=host.bundle.js")


def missing() -> str | None:
    """What this machine lacks to make the bundle; None when it lacks nothing."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return "there is no npm on this machine (Debian: apt-get install nodejs npm)"
    version = npm.run(node, "--version", folder=SOURCE)
    if int(version.removeprefix("v").split(".")[0]) < 20:
        return f"Node.js is {version.strip()}, and the host library needs 20"
    return None


def bundled() -> Path:
    """A folder with `host.bundle.js` and `axe.min.js`, made on the first call on this machine.

    Raises:
        RuntimeError: npm or esbuild failed, with what they said.
    """
    ingredients = [SOURCE / name for name in ("package.json", "package-lock.json", "host.js")]
    return npm.installed("card-host", [*ingredients, Path(__file__)], _bundle)  # this file says how it is bundled


def _bundle(folder: Path) -> None:
    esbuild = folder / "node_modules" / "esbuild" / "bin" / "esbuild"
    npm.run("node", str(esbuild), *BUNDLING, "--log-level=error", folder=folder)
    shutil.copy(folder / "node_modules" / "axe-core" / "axe.min.js", folder)
