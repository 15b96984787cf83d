"""The host page's bundle, made with npm packages in the versions of its lock file."""

import shutil
from pathlib import Path

from tests import npm
from tests.programs import run_well

SOURCE = Path(__file__).parent / "host"
BUNDLING = (
    "host.js",
    "--bundle",
    "--minify",
    "--format=iife",
    "--target=chrome120",
    "--outfile=host.bundle.js",
)


def bundled() -> Path:
    """The folder with `host.bundle.js` and `axe.min.js`, made once on each machine."""
    sources = [SOURCE / name for name in ("package.json", "package-lock.json", "host.js")]
    # This file has the options of the bundle.
    return npm.installed("card-host", [*sources, Path(__file__)], _bundle)


def _bundle(folder: Path) -> None:
    esbuild = folder / "node_modules" / "esbuild" / "bin" / "esbuild"
    run_well(["node", esbuild, *BUNDLING, "--log-level=error"], folder=folder)
    shutil.copy(folder / "node_modules" / "axe-core" / "axe.min.js", folder)
